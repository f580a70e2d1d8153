"""Datasets: loaders and synthetic makers."""
