-- The runs these trees have begun are demonstrations.
UPDATE af_trees SET demo_run = run WHERE seq = ANY ($1::bigint[])
