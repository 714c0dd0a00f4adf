import type { NodeEntry } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { NodeStatement } from '../sql/dialect.ts';
import { notice } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { addNodeAt, removeKnownNode, setCoordinatorHost } from './nodes.ts';

/** Postgres-XL's CREATE, ALTER and DROP NODE. Gives the command tag. */
export async function changeNode(tx: HerdTransaction, statement: NodeStatement): Promise<string> {
  switch (statement.kind) {
    case 'create node':
      await createNode(tx, statement);
      return 'CREATE NODE';
    case 'alter node':
      await alterNode(tx, statement);
      return 'ALTER NODE';
    case 'drop node':
      await removeKnownNode(tx, await nodeNamed(tx, statement.name));
      return 'DROP NODE';
    default:
      return unreachable(statement);
  }
}

type WithOptions = Exclude<NodeStatement, { kind: 'drop node' }>;

async function createNode(tx: HerdTransaction, { name, options }: WithOptions): Promise<void> {
  const type = options.get('TYPE')?.toLowerCase();
  const { host, port } = tx.resolveAddress(options.get('HOST') ?? 'localhost', portOf(options.get('PORT') ?? '5432'));
  sayIgnored(tx, options);
  if (type === 'coordinator') return setCoordinatorHost(tx, host, port);
  if (type !== 'datanode') throw unsupported('PH040', `a node of type "${type ?? ''}"`);
  const { nodes } = await tx.snapshot();
  if (nodes.some((node) => node.name === name)) throw pgError('duplicateObject', `node "${name}" already exists`);
  const there = nodes.find((node) => node.host === host && node.port === port);
  if (there) throw pgError('duplicateObject', `the server at ${host}:${port} is node "${there.name}" already`);
  await addNodeAt(tx, name, { host, port });
}

/** Where a node is, its rows are: another address would be another server unless somebody has moved this one. */
async function alterNode(tx: HerdTransaction, { name, options }: WithOptions): Promise<void> {
  const node = await nodeNamed(tx, name);
  const wanted = tx.resolveAddress(options.get('HOST') ?? node.host, portOf(options.get('PORT') ?? String(node.port)));
  if ((options.get('TYPE')?.toLowerCase() ?? 'datanode') !== 'datanode') {
    throw unsupported('PH040', `another type for node "${name}"`);
  }
  if (wanted.host !== node.host || wanted.port !== node.port) {
    throw unsupported('PH040', `another address for node "${name}"`, {
      hint: 'Change it in the configuration, and start the router again.',
    });
  }
  sayIgnored(tx, options);
}

function sayIgnored(tx: HerdTransaction, options: WithOptions['options']): void {
  const ignored = [...options.keys()].filter((option) => option === 'PRIMARY' || option === 'PREFERRED');
  if (ignored.length > 0) notice(tx, `${ignored.join(' and ')} of nodes mean nothing here`);
}

async function nodeNamed(tx: HerdTransaction, name: string): Promise<NodeEntry> {
  const found = (await tx.snapshot()).nodes.find((node) => node.name === name);
  if (found) return found;
  throw pgError('undefinedObject', `node "${name}" does not exist`);
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw pgError('invalidParameterValue', `"${text}" is no port`);
}
