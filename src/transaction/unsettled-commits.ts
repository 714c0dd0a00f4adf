import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';

/** Commits of which some nodes don't show yet what was, or may have been, decided: no snapshot may be opened over those nodes. */
export class UnsettledCommits {
  /** By decision key. */
  #nodes = new Map<string, readonly NodeId[]>();

  add(key: string, nodes: readonly NodeId[]): void {
    if (nodes.length > 0) this.#nodes.set(key, nodes);
  }

  told(key: string, told: readonly NodeId[]): void {
    const nodes = (this.#nodes.get(key) ?? []).filter((node) => !told.includes(node));
    if (nodes.length > 0) this.#nodes.set(key, nodes);
    else this.#nodes.delete(key);
  }

  settled(keys: readonly string[]): void {
    for (const key of keys) this.#nodes.delete(key);
  }

  hideFrom(sites: readonly Site[]): boolean {
    for (const nodes of this.#nodes.values()) if (nodes.some((node) => sites.includes(node))) return true;
    return false;
  }
}
