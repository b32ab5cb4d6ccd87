/** A remote builder that the runner reaches by a slow link, and that reaches a registry by a fast one. */
import { randomUUID } from 'node:crypto';
import { docker, useBuilder } from '../../../__tests__/support/engine.js';
import { startLink } from '../../../__tests__/support/link.js';
import { hasOwnBuildkit, startOwnBuildkit } from '../../../__tests__/support/own-buildkit.js';
import { runShell } from './command.js';

export interface BuilderBehindLink {
  /** For the steps: with it they use the builder by the link. */
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/**
 * The kernel paces what goes to a port of the loopback, and what comes from it, each by itself. (It is the
 * loopback of our engine's network, with which this ends.)
 */
const pace = `
PATH=$PATH:/usr/sbin:/sbin port=$1 rate=$2
tc qdisc add dev lo root handle 1: htb
for way in 1:dport 2:sport; do
  class=1:\${way%:*}
  tc class add dev lo parent 1: classid $class htb rate "$rate" burst 128k quantum 65536
  tc filter add dev lo parent 1: protocol ip u32 match ip \${way#*:} "$port" 0xffff flowid $class
done`;

/**
 * The mounts are filled and emptied by another builder, which has the same BuildKit without the link.
 *
 * @param rate in megabytes a second, each way
 */
export async function useBuilderBehindLink(rate: number): Promise<BuilderBehindLink> {
  if (!hasOwnBuildkit || process.env.ENGINE_PID === undefined) {
    throw new Error('--link takes root, and an engine of our own in a network of its own');
  }
  const removals: (() => Promise<unknown>)[] = [];
  const remove = async () => {
    for (const each of removals.reverse()) await each();
  };
  try {
    const buildkit = await startOwnBuildkit();
    removals.push(buildkit.dispose);
    const link = await startLink(buildkit.socket);
    removals.push(link.close);
    await runShell(pace, [new URL(link.endpoint).port, `${rate * 8}mbit`]);
    const linked = await createBuilder(link.endpoint);
    removals.push(() => docker(['buildx', 'rm', '--force', linked]));
    removals.push(useBuilder(await createBuilder(buildkit.endpoint)));
    return { env: { BUILDX_BUILDER: linked }, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function createBuilder(endpoint: string): Promise<string> {
  const name = `remote-${randomUUID()}`;
  await docker(['buildx', 'create', `--name=${name}`, '--driver=remote', endpoint]);
  return name;
}
