// Times `PREFIX layers` and `PREFIX graph`, two forms of one model, in turns:
// node time_targets.mjs NODE_MODULES_PARENT BACKEND PREFIX
// Prints the median processor time in milliseconds of each.
import path from 'node:path';
import {fromDirectory, importTfjs} from '../oracle/node/tfjs.mjs';

const [parent, backend, prefix] = process.argv.slice(2);
const tf = importTfjs(path.resolve(parent, 'package.json'));
await tf.setBackend(backend);
await tf.ready();

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
const medians = times.map(each => each.sort((a, b) => a - b)[each.length >> 1]);
process.stdout.write(`${medians.join(' ')}\n`);
