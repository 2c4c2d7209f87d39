// Loads a tfjs model as a page does and predicts. Used by `tfjs-codec verify --node` and `bundle`.
//
// Standard input   {"model": path of model.json, "modules": directory to find tfjs from,
//                   "inputs": [tensor, …] or null for made-up ones, "keys": the signature's keys
//                   of these inputs or null if they are all inputs in order}
//                  or {"model", "modules", "inputs", "trace": [backend, …], of which the first that
//                  can is taken}
// Standard output  {"version", "inputs": [tensor, …], "outputs": [tensor, …]}, or of a trace
//                  {"version", "backend", "kernels": [name, …], "classes": [name, …], "proved"}:
//                  what the model used, and whether it predicted the same with nothing else; or
//                  {"stage": "find" | "load" | "predict", "error": text}
// tensor           {"dtype", "shape", "data": base64 of its bytes}
import {createRequire} from 'node:module';
import {readFile} from 'node:fs/promises';
import {readFileSync} from 'node:fs';
import path from 'node:path';

for (const channel of ['log', 'info', 'warn']) console[channel] = () => {};  // stdout is ours
const ARRAYS = {float32: Float32Array, int32: Int32Array, bool: Uint8Array};
const request = JSON.parse(readFileSync(0, 'utf8'));
let stage = 'find';

async function use(tf, require, backend) {
  if (backend === 'wasm') {
    const wasm = require('@tensorflow/tfjs-backend-wasm');
    const file = require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
    wasm.setWasmPaths(path.dirname(file) + path.sep);
    wasm.setThreadsCount?.(1);
  }
  if (!await tf.setBackend(backend)) throw new Error(`no backend ${backend}`);
  // Emscripten ends the process for a rejected promise that tfjs has abandoned.
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', () => {});
  process.removeAllListeners('uncaughtException');
}

async function fastest(tf, require) {
  try {
    await use(tf, require, 'wasm');
  } catch {
    await use(tf, require, 'cpu');  // the plain backend is slower and as exact
  }
}

// What tfjs reads over HTTP, read from a directory.
function fromDirectory(file) {
  return {
    async load() {
      const {weightsManifest = [], ...model} = JSON.parse(await readFile(file, 'utf8'));
      const names = weightsManifest.flatMap(group => group.paths);
      const bytes = Buffer.concat(await Promise.all(
          names.map(name => readFile(path.join(path.dirname(file), name)))));
      const weightSpecs = weightsManifest.flatMap(group => group.weights);
      return {...model, weightSpecs, weightData: Uint8Array.from(bytes).buffer};
    }
  };
}

// The same numbers in every run; integers are 0 or 1, or all 0, which index anything.
function madeUp(tf, {shape, dtype}, {batch = 2, open = 8, ones = true} = {}) {
  const sizes = (shape ?? []).map((size, axis) => size > 0 ? size : axis === 0 ? batch : open);
  let state = 1;
  const next = () => (state = state * 48271 % 2147483647) / 2147483647;
  const values = Array.from({length: tf.util.sizeFromShape(sizes)}, next);
  const make = {
    float32: value => value,
    string: value => value < 0.5 ? 'a b' : 'c',
  }[dtype] ?? (value => ones ? Math.round(value) : 0);
  return tf.tensor(values.map(make), sizes, dtype);
}

function decode(tf, {dtype, shape, data}) {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
  return tf.tensor(new ARRAYS[dtype](bytes.buffer), shape, dtype);
}

async function encode(tensor) {
  const values = await tensor.data();
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return {dtype: tensor.dtype, shape: tensor.shape, data: bytes.toString('base64')};
}

async function load(tf) {
  stage = 'load';
  const content = JSON.parse(await readFile(request.model, 'utf8'));
  const isGraph = 'node' in (content.modelTopology ?? {});
  const handler = fromDirectory(request.model);
  const model = await (isGraph ? tf.loadGraphModel(handler) : tf.loadLayersModel(handler));
  stage = 'predict';
  return {model, isGraph};
}

async function execute(tf, {model, isGraph}, fed) {
  const given = request.keys ? Object.fromEntries(fed.map((one, i) => [request.keys[i], one])) :
      fed.length === 1       ? fed[0] :
                               fed;
  const result = await (isGraph ? model.executeAsync(given) : model.predict(given));
  return result instanceof tf.Tensor ? [result] : Object.values(result);
}

// Predicts for one example and for two, with the first sizes and numbers that will do.
async function predictMadeUp(tf) {
  const loaded = await load(tf);
  const predict = async fed => {
    const tensors = await execute(tf, loaded, fed);
    return Promise.all(tensors.map(async one => Array.from(await one.data()).join()));
  };
  if (request.inputs) return String(await predict(request.inputs.map(one => decode(tf, one))));
  const inputs = loaded.model.inputs;
  const isOpen = inputs.some(({shape}) => shape?.slice(1).some(size => !(size > 0)));
  let failure;
  for (const ones of [true, false]) {
    for (const batches of [[1, 2], [2], [1]]) {
      for (const open of isOpen ? [8, 32, 224, 1, 2] : [8]) {
        try {
          const found = [];
          for (const batch of batches) {
            found.push(await predict(inputs.map(one => madeUp(tf, one, {batch, open, ones}))));
          }
          return String(found);
        } catch (error) {
          failure ??= error;
        }
      }
    }
  }
  throw failure;
}

async function trace(tf, require, backends) {
  let failure;
  for (const backend of backends) {
    try {
      await use(tf, require, backend);
      return {version: tf.version.tfjs, backend, ...await traceHere(tf, backend)};
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

async function traceHere(tf, backend) {
  const registered = tf.serialization.SerializationMap.getMap();
  const all = registered.classNameMap, classes = new Set();
  registered.classNameMap = new Proxy(all, {
    get(target, name) {
      if (Object.hasOwn(target, name)) classes.add(name);
      return target[name];
    }
  });
  let before;
  const {kernelNames} = await tf.profile(async () => {
    before = await predictMadeUp(tf);
    return [];
  });
  // What runs as an operation of its own, without a kernel, is called …__op.
  const kernels = new Set(['Cast', 'Identity', ...kernelNames.filter(name => !/__op$/.test(name))]);
  for (const {kernelName} of tf.getKernelsForBackend(backend)) {
    if (!kernels.has(kernelName)) tf.unregisterKernel(kernelName, backend);
  }
  registered.classNameMap =
      Object.fromEntries(Object.entries(all).filter(([name]) => classes.has(name)));
  const proved = before === await predictMadeUp(tf);
  return {kernels: [...kernels].sort(), classes: [...classes].sort(), proved};
}

async function answer() {
  const require = createRequire(path.join(request.modules, 'anything.js'));
  const tf = require('@tensorflow/tfjs');
  if (request.trace) return trace(tf, require, request.trace);
  await fastest(tf, require);
  const loaded = await load(tf);
  const fed = request.inputs ? request.inputs.map(one => decode(tf, one)) :
                               loaded.model.inputs.map(one => madeUp(tf, one));
  const result = await execute(tf, loaded, fed);
  const [inputs, outputs] = await Promise.all(
      [fed, result].map(tensors => Promise.all(tensors.map(encode))));
  return {version: tf.version.tfjs, inputs, outputs};
}

let reply;
try {
  reply = await answer();
} catch (error) {
  reply = {stage, error: String(error?.message ?? error).slice(0, 2000)};
}
process.stdout.write(JSON.stringify(reply));
