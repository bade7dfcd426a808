-- The trees that callbacks tell of.
SELECT DISTINCT tree FROM af_callbacks INDEXED BY af_callbacks_active WHERE state = 'active' LIMIT $1
