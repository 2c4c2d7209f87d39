// Write tfjs_codec/tfjs/kernels.json: which kernels the functions and graph operations of tfjs run.
//
//     npm install @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 acorn@8 acorn-walk@8
//     node proto/kernels.mjs node_modules [output]
//
// It reads the modules of tfjs-core, tfjs-converter and the backends. A function needs the kernels
// that its body names, and those of the functions it calls. What only gradients run is left out.
// tfjs_codec/tfjs/kernels.py says what the table holds.
import {createRequire} from 'node:module';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';

const [modules, output = new URL('../tfjs_codec/tfjs/kernels.json', import.meta.url)] =
    process.argv.slice(2);
const require = createRequire(path.resolve(modules, '../anything.js'));
const acorn = require('acorn');
const walk = require('acorn-walk');
const root = path.resolve(modules, '@tensorflow');
const OPS = `${root}/tfjs-core/dist/ops`;
const KERNEL_NAMES = `${root}/tfjs-core/dist/kernel_names.js`;
const NAMESPACES = ['fused', 'image', 'linalg', 'signal', 'sparse', 'string'];

// ---- modules: what they import, export and declare

const files = new Map();

function read(file) {
  if (!files.has(file)) files.set(file, parse(file));
  return files.get(file);
}

function parse(file) {
  const text = readFileSync(file, 'utf8').replace(/\/\/# sourceMappingURL.*/, '');
  const found = {imports: new Map(), exports: new Map(), stars: [], bodies: new Map()};
  const {body} = acorn.parse(text, {sourceType: 'module', ecmaVersion: 'latest'});
  for (const statement of body) {
    const from = statement.source && resolve(file, statement.source.value);
    if (statement.type === 'ImportDeclaration') {
      for (const {local, imported} of statement.specifiers) {
        found.imports.set(local.name, {file: from, name: imported?.name ?? '*'});
      }
    } else if (statement.type === 'ExportAllDeclaration') {
      found.stars.push(from);
    } else if (statement.type === 'ExportNamedDeclaration' && !statement.declaration) {
      for (const {local, exported} of statement.specifiers) {
        found.exports.set(exported.name, {file: from, name: local.name});
      }
    } else {
      declare(statement.declaration ?? statement, found, Boolean(statement.declaration));
    }
  }
  return found;
}

function declare(statement, found, exported) {
  const declared = statement.type === 'VariableDeclaration' ?
      statement.declarations.map(one => [one.id.name, one.init]) :
      statement.id ? [[statement.id.name, statement]] : [];
  for (const [name, body] of declared) {
    found.bodies.set(name, body);
    if (exported) found.exports.set(name, {name});
  }
}

function resolve(file, source) {
  if (source === '@tensorflow/tfjs-core') return `${root}/tfjs-core/dist/base.js`;
  if (source.startsWith('@tensorflow/')) return `${root}/${source.slice(12)}.js`;
  return source.startsWith('.') ? path.resolve(path.dirname(file), `${source}.js`) : null;
}

// Return where `name` of `file` is declared.
function home(file, name) {
  const {exports, imports, stars, bodies} = read(file);
  const found = exports.get(name);
  if (found?.file) return home(found.file, found.name);
  const local = found?.name ?? name;
  if (bodies.has(local)) return {file, name: local};
  if (imports.has(local)) {
    const {file: from, name: theirs} = imports.get(local);
    return theirs === '*' ? {file: from, name: '*'} : home(from, theirs);
  }
  for (const star of stars) {
    const there = home(star, name);
    if (there) return there;
  }
  return null;
}

// ---- what code names

const isGradient = name => ['grad', 'gradFunc', 'backward', 'der'].includes(name);
const skipped = {  // what runs only if gradients are computed
  VariableDeclarator: node => isGradient(node.id.name),
  Property: node => isGradient(node.key.name),
  IfStatement: node => false,
};
const base = {...walk.base};
for (const [type, isSkipped] of Object.entries(skipped)) {
  base[type] = (node, state, visit) => isSkipped(node) || walk.base[type](node, state, visit);
}
base.IfStatement = (node, state, visit) => {  // fused operations are taken apart for gradients
  const unfused = node.test.type === 'BinaryExpression' && node.test.left.callee?.name === 'shouldFuse';
  visit(node.test, state, 'Expression');
  if (!unfused) visit(node.consequent, state, 'Statement');
  if (node.alternate) visit(node.alternate, state, 'Statement');
};

// Call back for each chain of names in `node`: ['ops', 'image', 'transform'], ['scalar'].
function chains(node, take) {
  walk.simple(node, {
    Identifier: one => take([one.name]),
    MemberExpression(one) {
      const names = [];
      for (; one.type === 'MemberExpression' && !one.computed; one = one.object) {
        names.unshift(one.property.name);
      }
      if (one.type === 'Identifier') take([one.name, ...names]);
      else take([null, ...names]);
    },
  }, base);
}

// ---- functions of tfjs-core

const functions = new Map(Object.entries(functionsOfCore()));

function functionsOfCore() {
  const found = {};
  const names = [...read(`${OPS}/ops.js`).exports.keys()];
  for (const star of read(`${OPS}/ops.js`).stars) names.push(...read(star).exports.keys());
  for (const name of names) {
    const there = home(`${OPS}/ops.js`, name);
    if (there?.file.startsWith(OPS) && there.name !== '*' && !there.file.endsWith('/ops.js')) found[name] = there;
  }
  for (const space of NAMESPACES) {
    const members = space === 'fused' ? [...read(`${OPS}/fused_ops.js`).exports.keys()] :
        read(`${OPS}/ops.js`).bodies.get(space).properties.map(one => one.key.name);
    for (const name of members) {
      found[`${space}.${name}`] = space === 'fused' ? home(`${OPS}/fused_ops.js`, name) :
          home(...Object.values(read(`${OPS}/ops.js`).imports.get(name)));
    }
  }
  for (const name of ['fromPixels', 'toPixels', 'draw']) {
    found[`browser.${name}`] = {file: `${OPS}/browser.js`, name};
  }
  return found;
}

// Return the names of kernels that `name` of `file` runs.
function kernels(file, name, found = new Set(), seen = new Set()) {
  const key = `${file} ${name}`;
  if (seen.has(key)) return found;
  seen.add(key);
  const {bodies, imports} = read(file);
  const body = bodies.get(name);
  if (!body) return found;
  walk.simple(body, {
    CallExpression({callee, arguments: [first]}) {
      if (callee.property?.name === 'runKernel' && first.type === 'Literal') found.add(first.value);
    },
  }, base);
  chains(body, ([first]) => {
    if (bodies.has(first)) return kernels(file, first, found, seen);
    const from = imports.get(first);
    if (!from?.file || from.name === '*') return;
    if (from.file === KERNEL_NAMES) return found.add(from.name);
    const there = home(from.file, from.name);
    if (there?.file.startsWith(OPS)) kernels(there.file, there.name, found, seen);
  });
  return found;
}

// ---- operations of tfjs-converter

const EXECUTOR = `${root}/tfjs-converter/dist/executor`;
const METHODS = new Map();  // of what an operation finds in the context
for (const [file, name] of
     [['tensor_array', 'TensorArray'], ['tensor_list', 'TensorList'], ['hash_table', 'HashTable']]) {
  for (const {key, value} of read(`${EXECUTOR}/${file}.js`).bodies.get(name).body.body) {
    METHODS.set(key.name, [...(METHODS.get(key.name) ?? []), {file: `${EXECUTOR}/${file}.js`, value}]);
  }
}

// Add the functions of tfjs-core that `node` in `file` calls to `found`.
function calls(file, node, found, seen = new Set()) {
  if (seen.has(node)) return;
  seen.add(node);
  const {bodies, imports} = read(file);
  chains(node, ([first, ...rest]) => {
    if (rest.length && METHODS.has(rest.at(-1)) && !['ops', 'tfOps'].includes(first)) {
      for (const {file: there, value} of METHODS.get(rest.at(-1))) calls(there, value, found, seen);
    }
    if (first === 'ops' || first === 'tfOps') {
      const name = rest.slice(0, NAMESPACES.includes(rest[0]) ? 2 : 1).join('.');
      if (functions.has(name)) found.add(name);
      return;
    }
    if (bodies.has(first) && first !== 'executeOp') return calls(file, bodies.get(first), found, seen);
    const from = imports.get(first);
    if (!from?.file || from.name === '*') return;
    const there = home(from.file, from.name);
    if (!there) return;
    if (there.file.startsWith(`${root}/tfjs-core`)) {
      if (functions.has(from.name)) found.add(from.name);
    } else if (!there.file.endsWith('/utils.js') || there.name === 'cloneTensor') {
      calls(there.file, read(there.file).bodies.get(there.name), found, seen);
    }
  });
}

function operations() {
  const found = {};
  const folder = `${root}/tfjs-converter/dist/operations`;
  const mapper = readFileSync(`${folder}/operation_mapper.js`, 'utf8');
  for (const [, category] of mapper.matchAll(/from '\.\/op_list\/(\w+)'/g)) {
    const file = `${folder}/executors/${category}_executor.js`;
    if (!existsSync(file)) continue;
    let waiting = [];
    walk.simple(read(file).bodies.get('executeOp'), {
      SwitchCase({test, consequent}) {
        if (test) waiting.push(test.value);
        if (!consequent.length) return;
        const needed = new Set();
        for (const statement of consequent) calls(file, statement, needed);
        for (const op of waiting) found[op] = [...needed].sort();
        waiting = [];
      },
    });
  }
  return found;
}

// ---- backends

function backend(name) {
  const {imports} = read(`${root}/tfjs-backend-${name}/dist/register_all_kernels.js`);
  const found = {};
  for (const [config, {file}] of imports) {
    if (file.includes('/kernels/')) found[kernelOf(file, config)] = [path.basename(file, '.js'), config];
  }
  return found;
}

// Return the name of the kernel that `config` of `file` describes.
function kernelOf(file, config) {
  const {bodies, imports} = read(file);
  const body = bodies.get(config);
  const named = body.properties?.find(({key}) => key.name === 'kernelName')?.value ?? body.arguments?.[0];
  if (named.type === 'Literal') return named.value;
  const {name, file: from} = imports.get(named.name);
  return from === KERNEL_NAMES ? name : home(from, name).name;
}

const sorted = object => Object.fromEntries(Object.entries(object).sort(([a], [b]) => a < b ? -1 : 1));
const rows = object => Object.entries(sorted(object)).map(
    ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',\n');
const described = {};
for (const [name, {file, name: local}] of functions) {
  described[name] = [path.relative(OPS, file).replace('.js', ''), ...[...kernels(file, local)].sort()];
}
const backends = Object.fromEntries(['cpu', 'wasm', 'webgl'].map(name => [name, sorted(backend(name))]));
writeFileSync(output, `{"backends":{
${rows(backends)}
},"functions":{
${rows(described)}
},"operations":{
${rows(operations())}
}}
`);
