-- What an idempotency key stands for.
SELECT digest, trees FROM af_idempotency WHERE owner = $1 AND key = $2
