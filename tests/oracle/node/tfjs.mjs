// TensorFlow.js with the wasm backend on one thread, and models read from directories.
import {createRequire} from 'node:module';
import {readFile} from 'node:fs/promises';
import path from 'node:path';

// Stdout is for results: what tfjs says on it is dropped.
for (const channel of ['log', 'info', 'warn']) console[channel] = () => {};

// Returns tfjs as a module at `place` (a path or URL) would import it.
export function importTfjs(place) {
  const require = createRequire(place);
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  const file = require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
  wasm.setWasmPaths(path.dirname(file) + path.sep);
  wasm.setThreadsCount(1);
  return require('@tensorflow/tfjs');
}

export async function readModel(directory) {
  return JSON.parse(await readFile(path.join(directory, 'model.json'), 'utf8'));
}

// What tf.loadLayersModel(url) and tf.loadGraphModel(url) read over HTTP, read from a directory.
export function fromDirectory(directory) {
  return {
    async load() {
      const {weightsManifest, ...model} = await readModel(directory);
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
