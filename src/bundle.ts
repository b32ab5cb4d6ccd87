/**
 * The start of the only bundle. It holds all programs, because they share nearly all of their code.
 * `dist/NAME/index.js` starts the program with that name. The code of the others is not run.
 */
export const start = {
  inject: () => import(/* webpackMode: "eager" */ './inject.js'),
  extract: () => import(/* webpackMode: "eager" */ './extract.js'),
  single: () => import(/* webpackMode: "eager" */ './single-step.js'),
  cli: () => import(/* webpackMode: "eager" */ './cli.js'),
};
