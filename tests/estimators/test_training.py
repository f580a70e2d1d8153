"""What happens between the first and the last epoch, and when it breaks off."""

import pytest

from skmtl.estimators._training import all_or_nothing


def test_all_or_nothing_gives_attributes_back():
    class Thing:
        pass

    thing = Thing()
    thing.kept = thing.changed = 1

    def break_off():
        with all_or_nothing(thing):
            thing.changed, thing.new = 2, 3
            del thing.kept
            raise KeyError("x")

    with pytest.raises(KeyError):
        break_off()
    assert vars(thing) == {"kept": 1, "changed": 1}
