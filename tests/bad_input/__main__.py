"""``python -m tests.bad_input`` writes the table of the docs."""

from tests.bad_input import write_page

write_page()
