/** The budgets of all projects: integrations of one project whose policies name the same budget share it. */
import { Budget } from "../domain/budget.ts"
import type { IntegrationId, ProjectId } from "../domain/id.ts"

export class Budgets {
  readonly #budgets = new Map<string, Budget<IntegrationId>>()

  /** The budget of that name; null without a name. What was learned is kept for as long as the process lives. */
  of(project: ProjectId, name: string | null): Budget<IntegrationId> | null {
    if (name === null) return null
    const key = `${project}/${name}`
    let budget = this.#budgets.get(key)
    if (budget === undefined) {
      budget = new Budget()
      this.#budgets.set(key, budget)
    }
    return budget
  }
}
