/**
 * The start of the one bundle: it holds all entries, because they share nearly all of their code.
 * `dist/NAME/index.js` starts the entry of that name; nothing of the others is run.
 */
export const start = {
  inject: () => import(/* webpackMode: "eager" */ './inject.js'),
  extract: () => import(/* webpackMode: "eager" */ './extract.js'),
  single: () => import(/* webpackMode: "eager" */ './single-step.js'),
  cli: () => import(/* webpackMode: "eager" */ './cli.js'),
};
