-- One task as its author wrote it, with its edges.
SELECT definition, needs, dependents, parent FROM af_tasks WHERE seq = $1
