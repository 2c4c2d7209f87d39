// Times graph models in TensorFlow.js, one after the other in turns, so that a busy machine is
// busy for all of them: node time_graphs.mjs NODE_MODULES_PARENT BACKEND ROUNDS SHAPE DIRECTORY…
// Prints a JSON list of {"nodes", "ms": median, "outputs": [...]} or {"error"}. Times are those of
// the processor (one thread), which other processes disturb less than the clock on the wall.
import path from 'node:path';
import {fromDirectory, importTfjs, readModel} from '../oracle/node/tfjs.mjs';

const [parent, backend, rounds, shapeText, ...directories] = process.argv.slice(2);
const tf = importTfjs(path.resolve(parent, 'package.json'));

async function once(model, input) {
  const start = process.cpuUsage();
  let result;
  try {
    result = model.execute(input);
  } catch (error) {
    if (!/executeAsync/.test(error.message)) throw error;
    result = await model.executeAsync(input);
  }
  const values = await Promise.all([result].flat().map(each => each.data()));
  const {user, system} = process.cpuUsage(start);
  const ms = (user + system) / 1000;
  [result].flat().forEach(each => each.dispose());
  return {ms, values};
}

await tf.setBackend(backend);
const input = tf.randomUniform(JSON.parse(shapeText), 0, 1, 'float32', 1);
const models = [];
for (const directory of directories) {
  const entry = {ms: []};
  models.push(entry);
  try {
    const {modelTopology} = await readModel(directory);
    entry.nodes = modelTopology.node.filter(({op}) => op !== 'Const').length;
    entry.model = await tf.loadGraphModel(fromDirectory(directory));
    entry.outputs = (await once(entry.model, input)).values.map(each => Array.from(each));
  } catch (error) {
    entry.error = String(error.message).slice(0, 200);
  }
}
for (let round = 0; round < Number(rounds); round++) {
  for (const entry of models.filter(each => !each.error)) {
    entry.ms.push((await once(entry.model, input)).ms);
  }
}
const report = models.map(({nodes, ms, outputs, error}) => {
  const sorted = ms.sort((a, b) => a - b);
  return {nodes, ms: sorted[sorted.length >> 1], outputs, error};
});
process.stdout.write(JSON.stringify(report) + '\n');
