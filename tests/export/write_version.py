"""Write the files by which later versions are tested: once, when a version of the format is new."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skmtl import MultiTaskNetClassifierRegressor
from skmtl._documents._file import FORMAT_VERSION
from skmtl.export import save

DATA = Path(__file__).parent / "data"


def main() -> None:
    """Fit, save, and write down what is predicted."""
    rng = np.random.default_rng(FORMAT_VERSION)
    number, word = rng.normal(size=40), rng.choice(["a", "b", "c"], 40)
    X = pd.DataFrame({"number": number, "gap": np.where(number > 1, np.nan, number), "word": word})
    price = 2 * number + (word == "a")
    Y = pd.DataFrame({"price": price, "sold": np.where(price > 0, "yes", "no")})
    Y = Y.mask(rng.random(Y.shape) < 0.1)
    est = MultiTaskNetClassifierRegressor(
        hidden_layer_sizes=(4,), n_bins=2, n_members=2, max_epochs=5, random_state=0,
        loss_weights="uncertainty", class_weight="balanced",
    ).fit(X, Y)  # fmt: skip
    path = DATA / f"version_{FORMAT_VERSION}.skmtl"
    if path.exists():
        raise SystemExit(f"{path} is there: raise FORMAT_VERSION first.")
    DATA.mkdir(exist_ok=True)
    save(est, path, include_optimizer=True)
    table = X[:8].astype(object).where(X[:8].notna(), None)
    told = {
        "X": table.to_dict("list"),
        "price": est.predict(X[:8])["price"].tolist(),
        "sold": est.predict(X[:8])["sold"].tolist(),
        "proba": est.predict_proba(X[:8])["sold"].tolist(),
    }
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
