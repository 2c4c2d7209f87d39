// Written by tfjs_codec: bundles TensorFlow.js with what one model needs, by esbuild.
//
//     npm install && npm run build
//
// makes tf.min.js, for <script src="tf.min.js">, which defines tf, and tf.min.mjs, for
// import * as tf from './tf.min.mjs'. What is left out is told by custom_tfjs_config.json.
import * as esbuild from 'esbuild';
import {copyFileSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const config = JSON.parse(readFileSync(path.join(here, 'custom_tfjs_config.json'), 'utf8'));
const {kernels, backends, tfjsCodec: {classes, operations, training}} = config;

// The modules in the place of others, as the documentation of custom bundles has it.
const ALIASES = {
  '@tensorflow/tfjs': 'custom_tfjs.js',
  '@tensorflow/tfjs-core': 'custom_tfjs_core.js',
  '@tensorflow/tfjs-core/dist/ops/ops_for_converter': 'custom_ops_for_converter.js',
};
const OF_NODE = /^(node:)?(crypto|fs|node-fetch|os|path|perf_hooks|string_decoder|url|util|worker_threads)$/;
// Namespaces of tfjs-core, by their modules. Bundlers drop what is not used of a namespace that is
// imported from its own module, and keep all of one that is passed on.
const NAMESPACES = {
  backend_util: 'backends/backend_util', broadcast_util: 'ops/broadcast_util',
  browser: 'ops/browser', device_util: 'device_util', gather_util: 'ops/gather_nd_util', io: 'io/io',
  kernel_impls: 'backends/kernel_impls', math: 'math', scatter_util: 'ops/scatter_nd_util',
  serialization: 'serialization', slice_util: 'ops/slice_util', tensor_util: 'tensor_util',
  util: 'util',
};
const MESSAGE = 'this tfjs was bundled by tfjs_codec for a model that does not need';

const TRANSFORMS = [
  // Imports of namespaces go to their modules.
  [/@tensorflow[\\/]tfjs-[a-z-]+[\\/]dist[\\/].*\.js$/, text => text.replace(
      /^import \{([^}]*)\} from '@tensorflow\/tfjs-core';$/gm, (whole, names) => {
        const parts = names.split(',').map(name => name.trim()).filter(Boolean);
        const spaces = parts.filter(name => name in NAMESPACES);
        const others = parts.filter(name => !(name in NAMESPACES));
        // One line, so that source lines keep their numbers.
        return [
          ...(others.length || !spaces.length ?
              [`import { ${others.join(', ')} } from '@tensorflow/tfjs-core';`] : []),
          ...spaces.map(name =>
              `import * as ${name} from '@tensorflow/tfjs-core/dist/${NAMESPACES[name]}';`),
        ].join(' ');
      })],
  // The webgl backend computes small tensors with functions of the cpu backend, taken by name.
  [/tfjs-backend-webgl[\\/]dist[\\/]kernel_utils[\\/]shared\.js$/, text => {
    const [, names] = text.match(/^const \{([^}]*)\} = shared;/m);
    const renamed = names.replaceAll(':', ' as').replace(/,\s*$/, '');
    return `export {${renamed}} from '@tensorflow/tfjs-backend-cpu/dist/shared';`;
  }],
  // The tables of operations keep the rows that the graph names.
  [/tfjs-converter[\\/]dist[\\/]operations[\\/]op_list[\\/]\w+\.js$/, async (text, file) => {
    const {json} = await importText(text, file);
    return `export const json = ${JSON.stringify(json.filter(row => operations.includes(row.tfOpName)))};`;
  }],
  // Categories none of whose operations the graph names.
  [/tfjs-converter[\\/]dist[\\/]operations[\\/]executors[\\/]\w+_executor\.js$/, text =>
    operations.some(op => text.includes(`case '${op}':`)) ? text :
        `export const executeOp = node => {
          throw new Error(\`${MESSAGE} the operation \${node.op}\`);
        };`],
  // Classes are registered if the model has them; what nothing refers to then falls away.
  [/tfjs-layers[\\/]dist[\\/].*\.js$/, text => {
    const named = new Map();
    text = text.replace(/^(\w+)\.className = '(\w+)';$/gm, (whole, variable, name) => {
      named.set(variable, name);
      return '';
    });
    text = text.replace(/^(?:export )?class (\w+)[^{]*\{/gm, (whole, variable) =>
      named.has(variable) ? `${whole} static className = '${named.get(variable)}';` : whole);
    return text.replace(/^serialization\.registerClass\((\w+)\);$/gm, (whole, variable) =>
      !named.has(variable) || classes.includes(named.get(variable)) ? whole : '');
  }],
  // Nothing here trains.
  [/tfjs-layers[\\/]dist[\\/](metrics|optimizers|base_callbacks|callbacks|engine[\\/]training_dataset)\.js$/,
   text => training ? text : stub(text, 'training')],
  // Losses are looked up by name for training; a layer calls one of their helpers.
  [/tfjs-layers[\\/]dist[\\/]losses\.js$/, text => training ? text :
    text.replace(/^export const lossesMap = \{[^}]*\};$/m, 'export const lossesMap = {};')],
  // Hashes of texts, with arithmetic of 64 bits.
  [/tfjs-core[\\/]dist[\\/]hash_util\.js$/, text =>
    kernels.includes('StringToHashBucketFast') ? text : stub(text, 'hashes')],
];

function stub(text, what) {
  const declared = text.matchAll(/^export (?:async )?(?:function|class|const|let|var) (\w+)/gm);
  const listed = text.matchAll(/^export \{ ?([^}]*?),? ?\};$/gm);
  const names = [
    ...[...declared].map(([, name]) => name),
    ...[...listed].flatMap(([, all]) => all.split(', ')),
  ];
  return names.map(name => `export function ${name}() {
    throw new Error('${MESSAGE} ${what}: ${name}');
  }`).join('\n');
}

function importText(text, file) {
  const body = text.replace(/\/\/# sourceMappingURL=.*/, '');
  return import(`data:text/javascript,${encodeURIComponent(body)}`);
}

const plugin = {
  name: 'tfjs_codec',
  setup(build) {
    build.onResolve({filter: /^@tensorflow\//}, ({path: name}) =>
      name in ALIASES ? {path: path.join(here, ALIASES[name])} : undefined);
    build.onResolve({filter: OF_NODE}, ({path: name}) => ({path: name, namespace: 'none'}));
    build.onLoad({filter: /.*/, namespace: 'none'}, () => ({contents: 'module.exports = {};'}));
    build.onLoad({filter: /@tensorflow[\\/].*\.js$/}, async ({path: file}) => {
      let contents = readFileSync(file, 'utf8');
      for (const [pattern, transform] of TRANSFORMS) {
        if (pattern.test(file)) contents = await transform(contents, file);
      }
      return {contents, resolveDir: path.dirname(file)};
    });
  },
};

for (const [file, options] of [
  ['tf.min.js', {format: 'iife', globalName: 'tf'}],
  ['tf.min.mjs', {format: 'esm'}],
]) {
  await esbuild.build({
    entryPoints: [path.join(here, 'entry.js')],
    outfile: path.join(here, file),
    bundle: true,
    minify: true,
    legalComments: 'none',
    plugins: [plugin],
    // Functions that custom_ops_for_converter.js leaves out belong to operations that are not there.
    logOverride: {'import-is-undefined': 'silent'},
    ...options,
  });
}
if (backends.includes('wasm')) {
  const require = createRequire(path.join(here, 'entry.js'));
  for (const kind of ['', '-simd', '-threaded-simd']) {
    const name = `tfjs-backend-wasm${kind}.wasm`;
    copyFileSync(require.resolve(`@tensorflow/tfjs-backend-wasm/dist/${name}`), path.join(here, name));
  }
}
