"""Datasets: loaders of real sets."""

from skmtl.datasets._automobile import load_automobile as load_automobile
