// Times forms of one model in turns, in processor time:
// node time_targets.mjs NODE_MODULES_PARENT BACKEND ROUNDS DIRECTORY…
// Prints JSON: the milliseconds of each prediction of each model, null for one that does not run.
import path from 'node:path';
import {fromDirectory, importTfjs, readModel} from '../oracle/node/tfjs.mjs';
import {timeInTurns} from './turns.mjs';

const [parent, backend, rounds, ...directories] = process.argv.slice(2);
const tf = importTfjs(path.resolve(parent, 'package.json'));
await tf.setBackend(backend);
await tf.ready();

const loaders = directories.map(directory => async () => {
  const {format} = await readModel(directory);
  const load = format === 'layers-model' ? tf.loadLayersModel : tf.loadGraphModel;
  return load(fromDirectory(directory));
});
const clock = () => {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1000;
};
process.stdout.write(JSON.stringify(await timeInTurns(tf, loaders, Number(rounds), clock)));
