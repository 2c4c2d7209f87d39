// Times `PREFIX layers` and `PREFIX graph`, two forms of one model, in turns:
// node time_targets.mjs NODE_MODULES_PARENT BACKEND PREFIX
// Prints the median processor time in milliseconds of each.
import {createRequire} from 'node:module';
import {readFile} from 'node:fs/promises';
import path from 'node:path';

const [parent, backend, prefix] = process.argv.slice(2);
const require = createRequire(path.resolve(parent, 'package.json'));
const print = console.log;
for (const channel of ['log', 'info', 'warn']) console[channel] = () => {};
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const wasmFile = require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
wasm.setWasmPaths(path.dirname(wasmFile) + path.sep);
wasm.setThreadsCount(1);
await tf.setBackend(backend);
await tf.ready();

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

const layers = await tf.loadLayersModel(fromDirectory(`${prefix} layers`));
const graph = await tf.loadGraphModel(fromDirectory(`${prefix} graph`));
const input = tf.randomNormal(layers.inputs[0].shape.map(size => size ?? 1));
const times = [[], []];
for (let round = 0; round < 13; round++) {
  for (const [which, run] of [() => layers.predict(input), () => graph.execute(input)].entries()) {
    const start = process.cpuUsage();
    const output = run();
    await output.data();
    const used = process.cpuUsage(start);
    output.dispose();
    if (round > 1) times[which].push((used.user + used.system) / 1000);
  }
}
print(...times.map(each => each.sort((a, b) => a - b)[each.length >> 1]));
