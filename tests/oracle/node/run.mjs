// A TensorFlow.js server for the tests: one JSON request per line on stdin, one JSON reply per
// line on stdout. It lives as long as its stdin, so that hundreds of small models take seconds.
//
// Request  {"model": directory of model.json, "backend": "cpu" | "wasm", "inputs": [tensor, …]};
//          of a graph model also "inputs": {signature key: tensor}, "outputs": [signature key, …];
//          "form": "tensor", "array" or "map" calls model.predict on one, and it may return a map
// Reply    {"outputs": [tensor, …], "keys": [key, …] of a map} or {"stage": "load" | "predict", "error": text}
// tensor   {"dtype": "float32" | "int32" | "bool", "shape": [...], "data": base64 of its bytes}
//          {"dtype": "string", "shape": [...], "data": [text, …]}
import readline from 'node:readline';
import {fromDirectory, importTfjs, readModel} from './tfjs.mjs';

const tf = importTfjs(import.meta.url);
const ARRAYS = {float32: Float32Array, int32: Int32Array, bool: Uint8Array};

function decode({dtype, shape, data}) {
  if (dtype === 'string') return tf.tensor(data, shape, dtype);
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
  return tf.tensor(new ARRAYS[dtype](bytes.buffer), shape, dtype);
}

async function encode(tensor) {
  const values = await tensor.data();
  if (tensor.dtype === 'string') return {dtype: 'string', shape: tensor.shape, data: values};
  // Some kernels keep their results in arrays of another type.
  const typed = tensor.dtype === 'complex64' ? values : ARRAYS[tensor.dtype].from(values);
  const bytes = Buffer.from(typed.buffer, typed.byteOffset, typed.byteLength);
  return {dtype: tensor.dtype, shape: tensor.shape, data: bytes.toString('base64')};
}

async function isGraph(directory) {
  return (await readModel(directory)).format === 'graph-model';
}

function predictLayers(model, inputs) {
  const fed = inputs.map(decode);
  return model.predict(fed.length === 1 ? fed[0] : fed, {batchSize: 1024});
}

// Without a wait where tfjs can: control flow, tables and shapes that depend on values need one.
function executeGraph(model, inputs, outputs) {
  const fed = Array.isArray(inputs) ?
      inputs.map(decode) :
      Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, decode(value)]));
  try {
    return model.execute(fed, outputs);
  } catch (error) {
    if (!/executeAsync/.test(error.message)) throw error;
    return model.executeAsync(fed, outputs);
  }
}

function predictGraph(model, inputs, form) {
  const fed = Object.values(inputs).map(decode);
  const forms = {
    tensor: () => fed[0],
    array: () => fed,
    map: () => Object.fromEntries(Object.keys(inputs).map((key, i) => [key, fed[i]])),
  };
  return model.predict(forms[form]());
}

async function answer({model: directory, backend, inputs, outputs, form}) {
  let stage = 'load', model;
  tf.engine().startScope();
  try {
    if (!await tf.setBackend(backend)) throw new Error(`no backend ${backend}`);
    const graph = await isGraph(directory);
    model = await (graph ? tf.loadGraphModel : tf.loadLayersModel)(fromDirectory(directory));
    stage = 'predict';
    const result = await (form ? predictGraph(model, inputs, form) :
        (graph ? executeGraph : predictLayers)(model, inputs, outputs));
    const isMap = !Array.isArray(result) && !(result instanceof tf.Tensor);
    const tensors = isMap ? Object.values(result) : [result].flat();
    const encoded = await Promise.all(tensors.map(encode));
    return isMap ? {outputs: encoded, keys: Object.keys(result)} : {outputs: encoded};
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
