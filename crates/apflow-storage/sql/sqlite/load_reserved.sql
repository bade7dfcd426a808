-- What is put aside for the attempts that run: a row each, as many as there are slots at the most.
SELECT task_id, tree_id, user_id, tokens, micros, task FROM af_reservations
