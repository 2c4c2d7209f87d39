"""Whole networks of ``keras.applications`` with random weights, on small images."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.node, pytest.mark.slow]

NETWORKS = {
    "MobileNet": {"alpha": 0.25},
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {"include_preprocessing": True},
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_applications(exact, name):
    config = {"classes": 5, **NETWORKS[name], "input_shape": [32, 32, 3]}
    image = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    report = exact({"application": name, "config": config}, [image], atol=1e-4)
    assert dict(report.files)["model.json"] < 5 << 20
