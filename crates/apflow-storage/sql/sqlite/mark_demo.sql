-- The runs these trees have begun are demonstrations.
UPDATE af_trees SET demo_run = run WHERE seq IN (SELECT value FROM json_each($1))
