"""Resizing, crops, colours and boxes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from asking import Made, R, const_or_input, pick, question, raw, values


@question
def resized(rng: R) -> Made:
    method = pick(rng, "bilinear", "nearest", "bilinear", "bicubic", "area", "lanczos3", "gaussian",
                  "mitchellcubic")  # fmt: skip
    size = [int(n) for n in rng.integers(2, 9, 2)]
    antialias = bool(rng.random() < 0.2)
    return (lambda x: tf.image.resize(x, size, method, antialias=antialias)), [
        values(rng, (2, 5, 4, 3))
    ]


@question
def resized_v1(rng: R) -> Made:
    size = [int(n) for n in rng.integers(2, 9, 2)]
    align = bool(rng.random() < 0.5)
    dtype = pick(rng, "float32", "int32", "uint8")
    fn = pick(rng, raw.ResizeBilinear, raw.ResizeNearestNeighbor, raw.ResizeBicubic)
    options = pick(rng, {"align_corners": align}, {"half_pixel_centers": align})
    return (lambda x: fn(images=x, size=size, **options)), [values(rng, (2, 5, 4, 3), dtype)]


@question
def crops(rng: R) -> Made:
    boxes = np.sort(rng.uniform(-0.1, 1.1, (4, 2, 2)), 1).reshape(4, 4).astype("f4")
    places = rng.integers(0, 2, 4).astype("i4")
    method = pick(rng, "bilinear", "nearest")
    return const_or_input(
        rng, lambda x, b, i: tf.image.crop_and_resize(x, b, i, [3, 4], method),
        values(rng, (2, 5, 6, 2)), boxes, places,
    )  # fmt: skip


@question
def colours(rng: R) -> Made:
    fn = pick(
        rng, tf.image.rgb_to_grayscale, lambda x: tf.image.adjust_contrast(x, 1.7),
        lambda x: tf.image.adjust_brightness(x, 0.2), tf.image.flip_left_right, tf.image.rot90,
        tf.image.rgb_to_hsv, tf.image.hsv_to_rgb, lambda x: tf.image.adjust_hue(x, 0.2),
        lambda x: tf.image.adjust_saturation(x, 1.4), tf.image.per_image_standardization,
        lambda x: tf.image.central_crop(x, 0.5), lambda x: tf.image.pad_to_bounding_box(x, 1, 2, 9, 9),
        tf.image.rgb_to_yuv, lambda x: tf.image.resize_with_crop_or_pad(x, 4, 8),
        lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
        lambda x: tf.image.sobel_edges(x), lambda x: tf.image.total_variation(x),
    )  # fmt: skip
    return (lambda x: fn(x)), [rng.uniform(0, 1, (2, 6, 6, 3)).astype("f4")]


@question
def suppression(rng: R) -> Made:
    corners = np.sort(rng.uniform(0, 1, (6, 2, 2)), 1)
    boxes = corners.reshape(6, 4).astype("f4")
    scores = (rng.permutation(6) / 6 + 0.05).astype("f4")
    most, overlap = int(rng.integers(1, 8)), float(pick(rng, 0.3, 0.5))
    limit = float(pick(rng, 0.3, 0.2, float("-inf")))
    fn = pick(
        rng, lambda b, s: tf.image.non_max_suppression(b, s, most, overlap, limit),
        lambda b, s: list(raw.NonMaxSuppressionV4(
            boxes=b, scores=s, max_output_size=most, iou_threshold=overlap, score_threshold=limit,
            pad_to_max_output_size=True)),
        lambda b, s: list(raw.NonMaxSuppressionV5(
            boxes=b, scores=s, max_output_size=most, iou_threshold=overlap, score_threshold=limit,
            soft_nms_sigma=0.0, pad_to_max_output_size=bool(most % 2))),
        lambda b, s: raw.NonMaxSuppressionV2(
            boxes=b, scores=s, max_output_size=most, iou_threshold=overlap),
    )  # fmt: skip
    return fn, [boxes, scores]
