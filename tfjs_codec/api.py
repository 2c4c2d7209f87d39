"""The public functions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace as change
from typing import TYPE_CHECKING, TypeAlias

from tfjs_codec.options import (
    CompareChoices,
    ConvertChoices,
    ConvertOptions,
    InspectChoices,
    ReadingChoices,
    choose,
    no_effect,
)
from tfjs_codec.progress import Progress

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from tfjs_codec.batches.batch import Batch
    from tfjs_codec.bundling.bundle import Backend, Bundle
    from tfjs_codec.comparison.diff import Diff
    from tfjs_codec.files.source import AnySource as Source
    from tfjs_codec.inspection.inspection import Inspection
    from tfjs_codec.ir.json_types import Json
    from tfjs_codec.limits import Limits
    from tfjs_codec.loaded_model import LoadedModel
    from tfjs_codec.preview.plot import Plot
    from tfjs_codec.readers.live_keras import LiveModel
    from tfjs_codec.report import Report
    from tfjs_codec.verification.verify import Verification

Path: TypeAlias = str | os.PathLike[str]


def convert(
    source: Source | LiveModel,
    destination: Path,
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    sandbox: bool = False,
    calibrate: Source | None = None,
    bias_correction: bool = True,
    **choices: Unpack[ConvertChoices],
) -> Report:
    """Convert a model: Keras to tfjs, tfjs to Keras, or either into another layout.

    Args:
        source: A Keras HDF5 or ``.keras`` file or a tfjs ``model.json``: a path, a URL (extra
            ``remote``), its bytes, or an open binary file; the directory of a tfjs model or
            SavedModel; a tfjs model as a zip archive, or as a mapping of file names to bytes; or a
            live Keras model. A weights-only file becomes a manifest without topology, unless
            ``architecture`` names the JSON of its model; so does a mapping of names to numpy
            arrays.
        destination: The directory, or its URL, to create, or to replace if it holds a tfjs model; a
            ``.zip`` file of what would be in it; or a file that ends in ``.h5``, ``.keras``,
            ``.weights.h5`` or ``.npz`` (see
            ``to``). It is either the complete new model
            afterwards, or as it was.
        options: All options at once, instead of *choices*.
        replace: Keras models to put in the place of layers, by layer name.
        progress: Called with the weight bytes done and to do.
        sandbox: Do it in a child process with limits on memory, time and the size of files
            (``sandbox_…`` of ``Limits``); what crashes it, or takes more,
            is an ``UnsafeFileError``. *progress* is called there.
        calibrate: An ``.npz`` file of inputs (``in0``, …, or by name), perhaps with outputs
            (``out0``, …): the report's ``calibration`` says how near the predictions of the
            written tfjs model are to these outputs, or to what the source predicts, in numpy, or
            in Node what numpy cannot run.
        bias_correction: With *calibrate*, round kernels so that their errors change the outputs
            for these inputs little, and let biases take back what rounding does to the mean of
            outputs, each if that lowers the error of the predictions; False only measures.
        choices: Attributes of ``ConvertOptions``.

    Raises:
        InputError: The source is damaged, unsafe, or none we read (``UnknownFormatError``).
        UnsupportedModelError: The target cannot express the model; ``problems`` lists every reason.
        UsageError: The options contradict each other, or one means nothing for this source or
            target.
        RuleError: A rule failed.
        OutputError: Writing failed; the destination is as it was.
    """
    from tfjs_codec.conversion.convert import convert as run

    chosen = choose(options, choices)
    if calibrate is None and not bias_correction:
        raise no_effect("bias_correction", "a conversion without calibrate")

    def work() -> Report:
        samples = _read_samples(calibrate, chosen)
        corrects = samples if bias_correction else {}
        report = run(source, destination, chosen, replace or {}, progress, samples=corrects)
        if calibrate is None:
            return report
        from tfjs_codec.verification.calibration import calibrate as measure

        return change(
            report, calibration=measure(destination, source, samples, chosen, replace or {})
        )

    if not sandbox:
        return work()
    from tfjs_codec.report import Report
    from tfjs_codec.sandbox import run_apart

    content = run_apart(lambda: work().to_json(), chosen.limits)
    assert isinstance(content, dict)  # noqa: S101  what work() returns
    return Report.from_json(content)


def to_files(
    source: Source | LiveModel,
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    calibrate: Source | None = None,
    **choices: Unpack[ConvertChoices],
) -> dict[str, bytes]:
    """Convert a model in memory: return the files that ``convert`` would write, by name.

    They are the same bytes. A tfjs model comes as its weight files and, last, ``model.json``;
    ``to="h5"`` and the like as one file, ``model.h5``. No disk is written.

    Args:
        source: As for ``convert``, or a live Keras model.
        options: All options at once, instead of *choices*.
        replace: As for ``convert``.
        progress: Called with the weight bytes done and to do.
        calibrate: An ``.npz`` file of inputs: kernels and biases are corrected as by
            ``convert``.
        choices: Attributes of ``ConvertOptions``.

    Raises:
        InputError, UnsupportedModelError, UsageError, RuleError: As for ``convert``.
    """
    from tfjs_codec.conversion.convert import convert as run
    from tfjs_codec.files.memory import MemoryStage

    stage = MemoryStage()
    chosen = choose(options, choices)
    samples = _read_samples(calibrate, chosen)
    run(source, stage, chosen, replace or {}, progress, samples=samples)
    return stage.files()


def _read_samples(arrays: Source | None, options: ConvertOptions) -> dict[str, NDArray[np.generic]]:
    if arrays is None:
        return {}
    from tfjs_codec.verification.calibration import read_samples

    return read_samples(arrays, options.limits)


def plan(
    source: Source,
    destination: Path | None = None,
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    **choices: Unpack[ConvertChoices],
) -> Report:
    """Return the report that ``convert`` would give, without writing anything.

    Sizes of weight files are exact; quantisation errors are not computed.
    """
    from tfjs_codec.conversion.convert import convert as run

    return run(source, destination, choose(options, choices), replace or {}, dry=True)


def save_keras_model(
    model: LiveModel,
    destination: Path,
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    **choices: Unpack[ConvertChoices],
) -> Report:
    """Write a live Keras model as ``convert`` would write the file it can be saved to.

    Args:
        model: A functional or sequential model of Keras 3 (on any backend), tf_keras or tf.keras.
        destination: As for ``convert``.
        options: All options at once, instead of *choices*.
        replace: As for ``convert``.
        progress: Called with the weight bytes done and to do.
        choices: Attributes of ``ConvertOptions``.

    Raises:
        UsageError: *model* is no Keras model, or has no weights yet.
        UnsupportedModelError: The target cannot express the model.
        OutputError: Writing failed; the destination is as it was.
    """
    from tfjs_codec.conversion.convert import convert as run
    from tfjs_codec.errors import UsageError

    if not hasattr(model, "to_json"):
        raise UsageError(f"{type(model).__name__} is not a Keras model")
    return run(model, destination, choose(options, choices), replace or {}, progress)


def save(
    model: LoadedModel,
    destination: Path,
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    **choices: Unpack[ConvertChoices],
) -> Report:
    """Write what ``load`` opened: ``save(load("web/"), "back.h5")``.

    It is ``convert`` from the source of *model*, which is read again.

    Args:
        model: A model that ``load`` returned.
        destination: As for ``convert``.
        options: All options at once, instead of those *model* was loaded with.
        replace: As for ``convert``.
        progress: Called with the weight bytes done and to do.
        choices: Attributes of ``ConvertOptions``; those that *model* was
            loaded with stay unless given.
    """
    given = choose(options, choices)
    chosen = options or change(model.options, **{name: getattr(given, name) for name in choices})
    return convert(model.source, destination, options=chosen, replace=replace, progress=progress)


def load(
    source: Source | LiveModel,
    *,
    options: ConvertOptions | None = None,
    **choices: Unpack[ReadingChoices],
) -> LoadedModel:
    """Open a model of any kind, or a checkpoint, to read its weights and to predict in numpy.

    ``load(path).weights`` maps ``layer/kernel`` (layers of nested models as
    ``model/layer/kernel``) to arrays; each is read when it is asked for. Without a Keras
    architecture, and for tfjs models of any kind, the names are those in the file: checkpoint
    keys, of all variables; names of the weight manifest. Strings are bytes objects in an array
    of objects.

    Args:
        source: A path, bytes, an open binary file, or a live Keras model.
        options: All options at once, instead of *choices*.
        choices: Attributes of ``ConvertOptions`` that say how to read.

    Raises:
        InputError: The source is damaged, unsafe, or none we read.
    """
    from tfjs_codec.loaded_model import LoadedModel
    from tfjs_codec.readers import open_model

    chosen = choose(options, choices, ReadingChoices)
    with ExitStack() as stack:
        opened = open_model(source, chosen.begin(), strict=options is None)
        model = stack.enter_context(opened)
        return LoadedModel(source, chosen, model, stack.pop_all())


def inspect(
    source: Source | LiveModel,
    *,
    options: ConvertOptions | None = None,
    **choices: Unpack[InspectChoices],
) -> Inspection:
    """Return what *source* is and holds, without reading any values.

    Any format that is read will do: Keras files and SavedModels, checkpoints, mere weights, tfjs
    models of every kind, live Keras models. The result also says what ``convert`` would write
    (``target``) and what it would do; what tfjs cannot express is listed in ``problems`` and is no
    error. For a ``model.json`` its text alone is read.

    Args:
        source: As for ``convert``, or a live Keras model.
        options: All options at once, instead of *choices*.
        choices: Attributes of ``ConvertOptions``.

    Raises:
        InputError: The source is damaged, unsafe, or none we read.
    """
    from tfjs_codec.inspection.inspect import inspect as describe

    return describe(source, choose(options, choices, InspectChoices).begin())


def preview_html(
    source: Source | LiveModel,
    *,
    against: Source | LiveModel | None = None,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    **choices: Unpack[CompareChoices],
) -> str:
    """Return a page that shows *source*: its graph, sizes, weights, and what a conversion does.

    It is one file that needs no network. ``tfjs-codec preview`` serves it with a box that runs the
    model.

    Args:
        source: As for ``inspect``.
        against: What the tfjs model *source* was made of: errors of quantised values are shown.
        options: All options at once, instead of *choices*.
        replace: Models in the place of layers of *against*, as for ``convert``.
        progress: Called with the bytes of values read and to read.
        choices: Attributes of ``ConvertOptions``, for both.

    Raises:
        InputError: *source* is damaged, unsafe, or none we read.
        UsageError: *against* is given, and *source* is no tfjs model.
    """
    from tfjs_codec.preview.facts import collect
    from tfjs_codec.preview.page import write_page

    chosen = choose(options, choices, CompareChoices)
    facts = collect(source, chosen, against=against, replacements=replace or {}, progress=progress)
    return write_page(facts).html


def plot(
    source: Source | LiveModel,
    *,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
    **choices: Unpack[InspectChoices],
) -> Plot:
    """Return a picture of *source*, which notebooks show: parameters by layer, largest weights.

    Args:
        source: As for ``inspect``.
        options: All options at once, instead of *choices*.
        progress: Called with the bytes of values read and to read.
        choices: Attributes of ``ConvertOptions``.

    Raises:
        InputError: *source* is damaged, unsafe, or none we read.
        UsageError: matplotlib is not installed.
    """
    from tfjs_codec.preview.facts import collect
    from tfjs_codec.preview.plot import draw

    return draw(collect(source, choose(options, choices, InspectChoices), progress=progress))


def diff(
    a: Source,
    b: Source,
    *,
    tolerance: float = 0.0,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    **choices: Unpack[CompareChoices],
) -> Diff:
    """Compare the layers and the weights of two models of any formats.

    Two Keras models are compared as such. A Keras model and a tfjs model are compared as what a
    conversion of the one or the other writes, so a source and its conversion are equal; likewise a
    TensorFlow graph and a tfjs graph model. What has no layers is compared by its weights alone.
    Memory does not grow with the models.

    Args:
        a: A path, bytes, or an open binary file.
        b: Another one.
        tolerance: Tensors whose values differ by no more than this count as equal.
        options: All options at once, instead of *choices*, as for ``convert``.
        replace: Models in the place of layers, as for ``convert``, where one is converted.
        progress: Called with the weight bytes compared and to compare.
        choices: Attributes of ``ConvertOptions``, for both.

    Raises:
        InputError: One of the two is damaged, unsafe, or none we read.
    """
    from tfjs_codec.comparison.diff import diff as compare

    chosen = choose(options, choices, CompareChoices)
    if "allow_approximate" not in choices:
        chosen = change(chosen, allow_approximate=True)
    return compare(a, b, chosen.begin(), replace or {}, tolerance, progress)


def verify(
    web: Path,
    against: Source | None = None,
    *,
    samples: int = 2,
    seed: int = 0,
    node: bool = False,
    inputs: Path | None = None,
    node_modules: Path | None = None,
    tolerance: float = 1e-4,
    calibrate: Source | None = None,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    **choices: Unpack[CompareChoices],
) -> Verification:
    """Check a tfjs model, or with *against* any model, and return what was checked.

    Of a tfjs model, the weight files must be those of its manifest, to the byte (and to the
    SHA-256, if ``checksums`` wrote that down), and the manifest's names and shapes those of the
    variables that tfjs creates from the topology. Memory does not grow with the model.

    Args:
        web: The directory of the tfjs model, or its ``model.json``; with *against* also a
            SavedModel or Keras file, whose values are compared as those of tfjs's layers.
        against: What it was made of: every value must be equal, or within half a step of its
            quantisation. Then the predictions of both are compared (*samples*).
        samples: For how many random inputs the predictions of both are compared, in numpy; 0 for
            none. What cannot be run is no failure; ``notes`` say why. Predictions of quantised
            weights are told, and not judged.
        seed: Of the random inputs.
        node: Load and run it in TensorFlow.js, which Node and ``@tensorflow/tfjs`` are needed for.
        inputs: A ``.npz`` file with inputs ``in0``, … and recorded predictions ``out0``, …, which
            tfjs must predict (for graph models also ``in:KEY``, ``out:KEY``, by the keys of the
            signature); else inputs are made up.
        node_modules: The directory from which ``@tensorflow/tfjs`` is looked for.
        tolerance: How much predictions may differ, relative to the largest.
        calibrate: The inputs that the conversion was given for it: biases may be as it corrects
            them.
        options: All options at once, instead of *choices*, as for ``convert``.
        replace: Models in the place of layers of *against*, as for ``convert``.
        progress: Called with the weight bytes compared and to compare.
        choices: Attributes of ``ConvertOptions`` for *against*.

    Raises:
        VerificationError: A check failed; the message lists all that did.
        InputError: *against* is damaged, unsafe, or cannot be converted.
        UsageError: *web* is no tfjs model, and there is nothing to compare it with; Node or tfjs
            is missing.
    """
    from tfjs_codec.verification.node import Predicting
    from tfjs_codec.verification.predictions import Sampling
    from tfjs_codec.verification.verify import verify as check

    predicting = Predicting(inputs, node_modules, tolerance) if node else None
    chosen = choose(options, choices, CompareChoices)
    if "allow_approximate" not in choices:
        chosen = change(chosen, allow_approximate=True)
    sampling = Sampling(samples, seed, tolerance) if samples > 0 else None
    if calibrate is not None and against is None:
        raise no_effect("calibrate", "a model that is compared with nothing")
    given = _read_samples(calibrate, chosen)
    return check(web, against, chosen.begin(), replace or {}, predicting, sampling, progress, given)


def bundle(
    web: Path,
    destination: Path = "custom_tfjs",
    *,
    backends: Sequence[Backend] = ("webgl",),
    also: Sequence[str] = (),
    inputs: Path | None = None,
    node_modules: Path | None = None,
    force: bool = False,
    limits: Limits | None = None,
) -> Bundle:
    """Write what a bundler makes a small tfjs of: with just the kernels that one model needs.

    The model is run once in Node, to see what it needs, and again with nothing else, which must
    predict the same. Without Node the kernels of a graph model are those that its operations may
    run by our table; ``notes`` say so.

    Args:
        web: The directory of a tfjs model, Layers or graph, or its ``model.json``.
        destination: The directory to create, or to replace if it holds a bundle. It gets the
            files of the official ``tfjs-custom-module``, an entry, and the script that builds
            ``tf.min.js`` and ``tf.min.mjs`` with esbuild.
        backends: For which backends: ``webgl``, ``wasm``, ``cpu``.
        also: Functions that the page calls itself, by their names in ``tf``: ``argMax``,
            ``image.resizeBilinear``, ``browser.fromPixels``.
        inputs: A ``.npz`` file as for ``verify``, whose inputs the model is run with; else
            they are made up.
        node_modules: The directory from which ``@tensorflow/tfjs`` is looked for.
        force: Write into a directory that holds other things.
        limits: Caps on what the model may ask for.

    Raises:
        UsageError: *web* is no tfjs model; tfjs has no such function or backend; Node is missing,
            and the model has layers.
        UnsupportedModelError: A backend lacks a kernel; ``problems`` lists them.
        VerificationError: tfjs cannot run the model.
        OutputError: Writing failed; *destination* is as it was.
    """
    from tfjs_codec.bundling.bundle import bundle as write
    from tfjs_codec.limits import DEFAULT_LIMITS
    from tfjs_codec.verification.node import Predicting

    options = ConvertOptions(force=force, limits=limits or DEFAULT_LIMITS).begin()
    return write(web, destination, backends, also, Predicting(inputs, node_modules), options)


def batch(
    models: Iterable[Path | bytes | Mapping[str, Json]],
    out: Path,
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    journal: Path | None = None,
    results: Path | None = None,
    rules: Sequence[Path] = (),
    replace: Mapping[str, Path] | None = None,
    sandbox: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **choices: Unpack[ConvertChoices],
) -> Batch:
    """Convert many models; what was done before, with the same options, is not done again.

    One that fails does not stop the others. Each is published at once, so a killed batch leaves
    none half written, and goes on where it was when it is started again.

    Args:
        models: Paths, URLs, patterns of them (``*``, ``?``, ``**``), manifests (``.jsonl``,
            ``.ndjson``, ``.csv``) or their bytes, or rows of a manifest: mappings with a
            ``source``, perhaps a ``name``, ``replace``, and options.
        out: The directory, or its URL, in which each gets a place of its name.
        executor: Runs the conversions: any ``concurrent.futures.Executor`` whose workers have this
            package, and reach the files.
        jobs: How many processes of this machine run them otherwise; as many as processors by
            default. They are spawned: a script needs ``if __name__ == "__main__":``.
        dask: The address of the scheduler of a Dask cluster that runs them (extra ``dask``).
        journal: The file of what is done, by default ``tfjs_codec-batch.jsonl`` in *out*, or here
            if that is a URL.
        results: A file that gets a line of JSON for each model as soon as it is done.
        rules: Python files that register rules, on each worker.
        replace: Models in the place of layers, as for ``convert``, of all models.
        sandbox: As for ``convert``, for each model.
        dry_run: Write nothing, no journal either, and say what would be done.
        progress: Called with the number of models done and to do.
        choices: Attributes of ``ConvertOptions`` for all; a row of a
            manifest overrides them.

    Raises:
        UsageError: A manifest or option makes no sense, two models would go to the same place,
            another batch uses the journal.
        RemoteError: No scheduler answers.
        OutputError: The journal cannot be written.
    """
    from dataclasses import asdict

    from tfjs_codec.batches import engines
    from tfjs_codec.batches.batch import run_batch
    from tfjs_codec.batches.manifest import list_items
    from tfjs_codec.errors import UsageError
    from tfjs_codec.limits import DEFAULT_LIMITS

    if sum(given is not None for given in (executor, jobs, dask)) > 1:
        raise UsageError("executor, jobs and dask exclude each other")
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be at least 1, not {jobs}")
    limits = asdict(choose(None, choices).limits)
    common = {name: value for name, value in choices.items() if name != "limits"}
    if replace:
        common["replace"] = {layer: os.fspath(file) for layer, file in replace.items()}

    def start() -> engines.Engine:
        if executor is not None:
            return engines.ExecutorEngine(executor)
        if dask is not None:
            return engines.DaskEngine(dask)
        return engines.LocalEngine(jobs or engines.count_processors())

    changed = {name: cap for name, cap in limits.items() if cap != getattr(DEFAULT_LIMITS, name)}
    listed = [models] if isinstance(models, str | os.PathLike | bytes) else models
    return run_batch(
        list_items(listed, common), os.fspath(out), start,
        rules=[os.fspath(rule) for rule in rules], limits=changed, sandbox=sandbox, dry=dry_run,
        journal=journal, results=results, progress=progress,
    )  # fmt: skip
