"""Features: X of any supported container -> one numeric array."""

from skmtl.features._columns import FeatureWarning as FeatureWarning
from skmtl.features._encoder import FeatureEncoder as FeatureEncoder
from skmtl.features._reader import read_features as read_features
