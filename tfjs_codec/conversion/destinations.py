"""Where results go: a directory or file, also at a URL, or memory.

Nothing is replaced before all is written.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UsageError
from tfjs_codec.files.remote import Place, is_url, locate
from tfjs_codec.files.source import INDEX, PAGE, ZIP_MAGIC
from tfjs_codec.report import Report

if TYPE_CHECKING:
    from tfjs_codec.files.publish import Owned
    from tfjs_codec.files.stage import Stage
    from tfjs_codec.writers.weights import Plan, Written


Files: TypeAlias = Sequence[tuple[str, int]]  # names, and sizes in bytes

# Formats that people ask for and we do not write, and what to do for them.
_SAVED_MODEL = "Write a SavedModel (--to savedmodel) and give it to"
_FOREIGN = {
    ".tflite": f"{_SAVED_MODEL} tf.lite.TFLiteConverter.",
    ".onnx": f"{_SAVED_MODEL} tf2onnx.",
    ".pb": "Name a directory, with --to savedmodel.",
    ".mlmodel": f"{_SAVED_MODEL} coremltools.",
    ".mlpackage": f"{_SAVED_MODEL} coremltools.",
    ".pt": "Convert to .npz and read the weights with numpy.",
    ".pth": "Convert to .npz and read the weights with numpy.",
    ".safetensors": "Convert to .npz and read the weights with numpy.",
    ".json": "Name the directory for model.json and its weight files.",
    ".bin": "Name the directory for model.json and its weight files.",
}


_GZIP = 31  # zlib's window bits for a file of gzip
_BROTLI = 9  # the quality; the best is ten times slower
_MOST_COMPRESSED = 16 << 20  # bytes of a model whose compressed size is told: it takes a second
_READ_BYTES = 1 << 20


def resolve(destination: str | os.PathLike[str]) -> Path | Place:
    """Return the place that *destination* means; a ``model.json`` stands for its directory.

    Raises:
        UsageError: It asks for a format that is not written, or is a URL that is only read.
    """
    place = find_place(destination)
    path = place if isinstance(place, Path) else PurePosixPath(place.path)
    if path.name == INDEX:
        return place.parent
    hint = _FOREIGN.get(path.suffix.lower())
    if hint is not None and not (isinstance(place, Path) and place.is_dir()):
        raise UsageError(f"{path.suffix} files are not written", path=place, hint=hint)
    return place


def find_place(destination: str | os.PathLike[str]) -> Path | Place:
    """Return the path, or the place of the URL, *destination*.

    Raises:
        UsageError: It is a URL that is only read.
    """
    text = os.fspath(destination)
    if not is_url(text):
        return Path(destination)
    place = locate(text)
    if place.is_local:
        return Path(place.path)
    if place.is_read_only:
        raise UsageError(
            "files at such a URL are read and not written", path=place,
            hint="Name one of a store, such as s3:// or gs://.",
        )  # fmt: skip
    return place


def publish_directory(
    job: Job, report: Report, planned: Plan, write: Callable[[Stage], Written]
) -> Report:
    """Publish the tfjs model that *write* writes; fill in what *report* does not know yet."""
    from tfjs_codec.writers.tfjs_files import listed_files, model_files

    written, packed = None, (0, 0)

    def fill(stage: Stage) -> Files:
        nonlocal written, packed
        written = write(stage)
        if job.options.with_page:
            written.files.append(_write_page(job, stage))
        if written.losses and sum(nbytes for _, nbytes in written.files) <= _MOST_COMPRESSED:
            packed = _compress(written.files, stage)
        return written.files

    # An old model is looked at before and after the new one is written; mostly it is the same.
    owned = partial(model_files, find=lru_cache(1)(listed_files))
    files = [(shard.name, shard.nbytes) for shard in planned.shards]
    files += [(PAGE, 0)] if job.options.with_page else []
    return replace(
        publish(job, report, files, fill, owned),
        weights=len(planned.entries),
        warnings=(*report.warnings, *planned.warnings),
        kept_whole=planned.whole,
        quantization=tuple(loss[:] for loss in written.losses) if written else (),
        whole_nbytes=planned.whole_nbytes,
        gzip_nbytes=packed[0],
        brotli_nbytes=packed[1],
    )


def _compress(files: Files, stage: Stage) -> tuple[int, int]:
    """Return the bytes of *files* as a server sends them, each by itself, with gzip and brotli.

    Without the package brotli, which is optional, the second number is 0.
    """
    try:
        import brotli
    except ImportError:
        brotli = None
    gzipped = brotlied = 0
    for name, _ in files:
        packer = zlib.compressobj(wbits=_GZIP)
        other = brotli and brotli.Compressor(quality=_BROTLI)
        with stage.open(name) as file:
            while piece := file.read(_READ_BYTES):
                gzipped += len(packer.compress(piece))
                brotlied += len(other.process(piece)) if other else 0
        gzipped += len(packer.flush())
        brotlied += len(other.finish()) if other else 0
    return gzipped, brotlied


def _write_page(job: Job, stage: Stage) -> tuple[str, int]:
    """Write a page that runs the model of *stage* beside it; return its name and size."""
    from tfjs_codec.snippet import write_page

    with stage.open(INDEX) as file:
        page = write_page({INDEX: file.read()}, job.options).encode()
    stage.write(PAGE, page)
    return PAGE, len(page)


def publish(
    job: Job, report: Report, files: Files, write: Callable[[Stage], Files], owned: Owned
) -> Report:
    """Publish the directory that *write* fills, and say so in *report*.

    Args:
        job: Where to: a directory, a zip, a stage in memory, or nowhere.
        report: What is known so far.
        files: Names and sizes of the files that are to be written, so far as known.
        write: Returns those that were.
        owned: Which files of a directory are a model's that may be replaced.
    """
    from tfjs_codec.files.sink import staged, staged_apart

    force, destination = job.options.force, job.destination
    if isinstance(destination, Path | Place) and str(destination).lower().endswith(".zip"):

        def write_zip(stage: Stage, name: str) -> None:
            nonlocal files
            from tfjs_codec.files.zip_write import staged_zip

            files = write(stage)
            with staged_zip(stage, name) as archive:
                for file, _ in files:
                    archive.move(file)

        publish_file(job, report, ".zip", (ZIP_MAGIC,), write_zip)
    elif isinstance(destination, Path):
        _check_not_source(destination, report.source)
        names = {name.partition("/")[0] for name, _ in files}
        with staged(destination, owned, force=force, names=names) as stage:
            files = write(stage)
            stage.settle()
            job.check_sources()
    elif isinstance(destination, Place):
        from tfjs_codec.conversion.uploading import check_directory, upload

        _check_not_source(destination, report.source)
        present = check_directory(destination, {name for name, _ in files}, force=force)
        with staged_apart() as stage:
            files = write(stage)
            job.check_sources()
            files = upload(destination, stage, files, present)
    elif destination is not None:
        files = write(destination)
        job.check_sources()
    return replace(report, destination=str(destination or ""), files=tuple(files))


def _check_not_source(destination: Path | Place, source: str) -> None:
    """Refuse to replace the source: what it holds would be lost, or lose its precision."""
    if isinstance(destination, Place):
        is_source = source.rstrip("/").removesuffix(f"/{INDEX}") == destination.shown.rstrip("/")
    else:
        target, origin = (Path(os.path.realpath(path)) for path in (destination, source))
        is_source = target in (origin, origin.parent if origin.name == INDEX else origin)
    if is_source:
        raise UsageError("is the source file", path=destination, hint="Name another one.")


def publish_file(
    job: Job,
    report: Report,
    suffix: str,
    magics: tuple[bytes, ...],
    write: Callable[[Stage, str], None],
) -> Report:
    """Publish the file that *write* creates; fill in what *report* does not know yet.

    In memory it is called ``model`` with *suffix*. Without ``force`` only a file that begins with
    one of *magics* is replaced.
    """
    destination = job.destination
    if destination is None:
        return report
    if not isinstance(destination, Path | Place):
        write(destination, f"model{suffix}")
        job.check_sources()
        files = tuple((name, len(data)) for name, data in destination.files().items())
        return replace(report, destination=str(destination), files=files)
    _check_not_source(destination, report.source)
    with staged_output(destination, magics, force=job.options.force) as (stage, name):
        write(stage, name)
        stage.settle()
        job.check_sources()
        with stage.open(name) as file:
            size = file.seek(0, os.SEEK_END)
    return replace(report, destination=str(destination), files=((name, size),))


@contextmanager
def staged_output(
    destination: Path | Place, magics: tuple[bytes, ...], *, force: bool
) -> Iterator[tuple[Stage, str]]:
    """Give a stage for one file and its name; publish it at *destination* when the block ends.

    Raises:
        UsageError: There is a file that does not begin with one of *magics*, and not *force*.
        OutputError: Writing failed.
    """
    from tfjs_codec.files.sink import check_file_destination, staged_apart, staged_file

    if isinstance(destination, Place):
        from tfjs_codec.conversion.uploading import check_file, upload_file

        check_file(destination, magics, force=force)
        with staged_apart() as stage:
            name = PurePosixPath(destination.path).name
            yield stage, name
            stage.settle()
            upload_file(destination, stage.path / name)
        return
    target = check_file_destination(destination, magics, force=force)
    with staged_file(target, magics, force=force) as stage:
        yield stage, target.name
