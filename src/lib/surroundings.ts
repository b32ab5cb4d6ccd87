import { homedir, tmpdir } from 'node:os';

/**
 * The surroundings of a step. The file that starts an action or the command line reads them once,
 * first of all, and passes them down. Later the process may have others, because the cache client
 * needs some of its own for each call (entry/stores/github-cache.ts).
 */
export interface Surroundings {
  readonly cwd: string;
  /** All variables; child processes are given these. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether GitHub's runner, or one that acts like it, reads what is printed. */
  readonly isOnGitHub: boolean;
  /** Relative paths in inputs count from here: GITHUB_WORKSPACE, or else the working directory. */
  readonly workspace: string;
  /**
   * The directory for this job's temporary files: RUNNER_TEMP, which the runner empties after each
   * job.
   */
  readonly temporaryRoot: string;
  /** The system's directory for temporary files. */
  readonly systemTemporary: string;
  /** The user's own directory: HOME, or else what the system says. */
  readonly home: string;
  /** The file for what is shown on the summary page of the run; undefined: there is none. */
  readonly summaryFile: string | undefined;
  readonly run: Run;
  /** A name that tells the job from others that the same machine has run; undefined off GitHub. */
  readonly job: string | undefined;
}

/** The run of a workflow, as far as generated keys depend on it. */
export interface Run {
  readonly os: string;
  readonly architecture: string;
  readonly commit: string;
  /** A second attempt saves under a key of its own. */
  readonly attempt: string;
}

/** What stands in a generated key in place of a commit. */
export const unknownCommit = 'none';

export function readSurroundings(): Surroundings {
  const env = variablesOf(process.env);
  const cwd = process.cwd();
  const systemTemporary = tmpdir();
  return {
    cwd,
    env,
    isOnGitHub: env.GITHUB_ACTIONS === 'true',
    workspace: env.GITHUB_WORKSPACE || cwd,
    temporaryRoot: env.RUNNER_TEMP || systemTemporary,
    systemTemporary,
    home: homedir(),
    summaryFile: env.GITHUB_STEP_SUMMARY || undefined,
    run: {
      os: env.RUNNER_OS || process.platform,
      architecture: env.RUNNER_ARCH || process.arch,
      // GitLab's and Jenkins' names for it come next.
      commit: env.GITHUB_SHA || env.CI_COMMIT_SHA || env.GIT_COMMIT || unknownCommit,
      attempt: env.GITHUB_RUN_ATTEMPT || '1',
    },
    job: jobOf(env),
  };
}

function jobOf(env: Readonly<Record<string, string>>): string | undefined {
  const names = ['GITHUB_RUN_ID', 'GITHUB_RUN_ATTEMPT', 'GITHUB_JOB'];
  return names.flatMap((name) => env[name] || []).join('/') || undefined;
}

function variablesOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  const variables = Object.entries(environment);
  return Object.fromEntries(
    variables.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
