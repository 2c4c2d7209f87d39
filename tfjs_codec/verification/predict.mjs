// Loads a tfjs model as a page does and predicts. Used by `tfjs-codec verify --node`.
//
// Standard input   {"model": path of model.json, "modules": directory to find tfjs from,
//                   "inputs": [tensor, …] or null for made-up ones, "keys": the signature's keys
//                   of these inputs or null if they are all inputs in order}
// Standard output  {"version", "inputs": [tensor, …], "outputs": [tensor, …]} or
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

async function fastest(tf, require) {
  try {
    const wasm = require('@tensorflow/tfjs-backend-wasm');
    const file = require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
    wasm.setWasmPaths(path.dirname(file) + path.sep);
    wasm.setThreadsCount?.(1);
    if (await tf.setBackend('wasm')) return;
  } catch {
    // not installed: the plain backend is slower and as exact
  }
  await tf.setBackend('cpu');
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

// The same numbers in every run; integers are 0 or 1, which index anything.
function madeUp(tf, {shape, dtype}) {
  const sizes = shape.map((size, axis) => size > 0 ? size : axis === 0 ? 2 : 8);
  let state = 1;
  const next = () => (state = state * 48271 % 2147483647) / 2147483647;
  const values = Array.from({length: tf.util.sizeFromShape(sizes)}, next);
  return tf.tensor(dtype === 'float32' ? values : values.map(Math.round), sizes, dtype);
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

async function answer() {
  const require = createRequire(path.join(request.modules, 'anything.js'));
  const tf = require('@tensorflow/tfjs');
  await fastest(tf, require);
  stage = 'load';
  const content = JSON.parse(await readFile(request.model, 'utf8'));
  const isGraph = 'node' in (content.modelTopology ?? {});
  const handler = fromDirectory(request.model);
  const model = await (isGraph ? tf.loadGraphModel(handler) : tf.loadLayersModel(handler));
  stage = 'predict';
  const fed = request.inputs ? request.inputs.map(one => decode(tf, one)) :
                               model.inputs.map(one => madeUp(tf, one));
  const given = request.keys ? Object.fromEntries(fed.map((one, i) => [request.keys[i], one])) :
      fed.length === 1       ? fed[0] :
                               fed;
  let result = isGraph ? await model.executeAsync(given) : model.predict(given);
  result = result instanceof tf.Tensor ? [result] : Object.values(result);
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
