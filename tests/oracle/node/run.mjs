// A TensorFlow.js server for the tests: one JSON request per line on stdin, one JSON reply per
// line on stdout. It lives as long as its stdin, so that hundreds of small models take seconds.
//
// Request  {"model": directory of model.json, "backend": "cpu" | "wasm", "inputs": [tensor, …]}
// Reply    {"outputs": [tensor, …]} or {"stage": "load" | "predict", "error": text}
// tensor   {"dtype": "float32" | "int32" | "bool", "shape": [...], "data": base64 of its bytes}
import {createRequire} from 'node:module';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';

const require = createRequire(import.meta.url);
for (const channel of ['log', 'info', 'warn']) console[channel] = () => {};  // stdout is ours
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const wasmFile = require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
wasm.setWasmPaths(path.dirname(wasmFile) + path.sep);
wasm.setThreadsCount(1);

const ARRAYS = {float32: Float32Array, int32: Int32Array, bool: Uint8Array};

function decode({dtype, shape, data}) {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
  return tf.tensor(new ARRAYS[dtype](bytes.buffer), shape, dtype);
}

async function encode(tensor) {
  const values = await tensor.data();
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return {dtype: tensor.dtype, shape: tensor.shape, data: bytes.toString('base64')};
}

// What tf.loadLayersModel(url) reads over HTTP, read from a directory.
function fromDirectory(directory) {
  return {
    async load() {
      const {weightsManifest, ...model} =
          JSON.parse(await readFile(path.join(directory, 'model.json'), 'utf8'));
      const files = weightsManifest.flatMap(group => group.paths);
      const bytes = Buffer.concat(
          await Promise.all(files.map(file => readFile(path.join(directory, file)))));
      return {
        ...model,
        weightSpecs: weightsManifest.flatMap(group => group.weights),
        weightData: Uint8Array.from(bytes).buffer,
      };
    }
  };
}

async function answer({model: directory, backend, inputs}) {
  let stage = 'load', model;
  tf.engine().startScope();
  try {
    if (!await tf.setBackend(backend)) throw new Error(`no backend ${backend}`);
    model = await tf.loadLayersModel(fromDirectory(directory));
    stage = 'predict';
    const fed = inputs.map(decode);
    const result = model.predict(fed.length === 1 ? fed[0] : fed, {batchSize: 1024});
    return {outputs: await Promise.all([result].flat().map(encode))};
  } catch (error) {
    return {stage, error: String(error?.message ?? error).slice(0, 2000)};
  } finally {
    tf.disposeVariables();
    tf.engine().endScope();
  }
}

for await (const line of readline.createInterface({input: process.stdin})) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
}
