"""Features: X of any supported container -> one numeric array."""

from skmtl.features._encoder import FeatureEncoder as FeatureEncoder
from skmtl.features._reader import read_features as read_features
from skmtl.features._warnings import FeatureWarning as FeatureWarning
