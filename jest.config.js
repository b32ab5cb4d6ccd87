import { availableParallelism } from 'node:os';

const common = {
  // Not .cache/, which may hold whole trees of other projects.
  roots: ['<rootDir>/__tests__', '<rootDir>/src'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { useESM: true }] },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};

/**
 * `unit` needs Node, GNU tar and zstd; `e2e`, `faults` and `long` need a Docker engine that they may
 * fill and prune as they like (`scripts/test` starts one).
 *
 * @type {import('jest').Config}
 */
const config = {
  // A machine may be slow: what a test waits for has its limit in silence (__tests__/support/silence.ts),
  // and this is only for a test that waits for nothing.
  testTimeout: 2 * 60 * 60 * 1000,
  // More than there are processors, because some tests do little but wait.
  maxWorkers: Math.ceil(1.5 * availableParallelism()),
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/__tests__/unit/**/*.test.ts'] },
    { ...common, displayName: 'e2e', testMatch: ['<rootDir>/__tests__/e2e/**/*.test.ts'] },
    { ...common, displayName: 'faults', testMatch: ['<rootDir>/__tests__/faults/**/*.test.ts'] },
    { ...common, displayName: 'long', testMatch: ['<rootDir>/__tests__/long/**/*.test.ts'] },
  ],
};

export default config;
