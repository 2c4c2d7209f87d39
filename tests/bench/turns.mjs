// Times models in turns, in Node and in a page.
// `loaders` load them; `now` is a clock in milliseconds. Sizes that a model leaves open are 1 for
// the batch and 100 for others. Returns the times of each model without
// the first two, null for one that does not load or run.
export async function timeInTurns(tf, loaders, rounds, now) {
  const runs = [];
  for (const load of loaders) {
    try {
      const model = await load();
      const inputs = model.inputs.map(({shape}) => tf.randomNormal(
          shape.map((size, axis) => size > 0 ? size : axis ? 100 : 1)));
      const given = inputs.length === 1 ? inputs[0] : inputs;
      const graph = !model.layers;
      let run = () => graph ? model.execute(given) : model.predict(given);
      try {
        tf.dispose(run());
      } catch (error) {
        if (!graph) throw error;
        run = () => model.executeAsync(given);
        tf.dispose(await run());
      }
      runs.push({run, times: []});
    } catch {
      runs.push(null);
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const each of runs) {
      if (each === null) continue;
      const start = now();
      const made = await each.run();
      await Promise.all([made].flat().map(output => output.data()));
      if (round > 1) each.times.push(now() - start);
      tf.dispose(made);
    }
  }
  return runs.map(each => each && each.times);
}
