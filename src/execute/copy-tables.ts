// Placeholder until COPY lands.
export const copyRows = async (..._: unknown[]): Promise<number> => 0;
export const gatherRows = copyRows;
export const copyToAll = copyRows;
