/** A reason why a store cannot be opened, in a sentence for the operator. Nothing was changed in it. */
export class StoreFault extends Error {}
