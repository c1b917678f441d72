/** Stand-in until the keeper is in place. */
export class Keeper {
  constructor(_parts: unknown) {}
  start(): void {}
  async stop(): Promise<void> {}
  lastReport(): Record<string, unknown> | undefined {
    return undefined
  }
}
