import type { SchemaServices } from '../session/services.ts';

/** The schema room as sessions use it. */
export function schemaServices(_options: { readonly defaultShardCount: number }): SchemaServices {
  return {
    isAdminCall: () => false,
    runAdmin: async () => ({ columns: [], rows: [] }),
    classify: () => ({ kind: 'local', changesCatalog: true, outsideTransaction: false }),
    runAction: async () => '',
  };
}
