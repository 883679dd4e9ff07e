-- What native kernels of linear algebra did: with which instructions, in how many calls, how many floating-point
-- operations, and the version of the prices by which these became fuel. Null where none was used.
ALTER TABLE task_usage ADD COLUMN kernel_instructions TEXT;
ALTER TABLE task_usage ADD COLUMN kernel_calls BIGINT;
ALTER TABLE task_usage ADD COLUMN kernel_flops BIGINT;
ALTER TABLE task_usage ADD COLUMN kernel_price_version BIGINT;
ALTER TABLE preview_usage ADD COLUMN kernel_instructions TEXT;
ALTER TABLE preview_usage ADD COLUMN kernel_calls BIGINT;
ALTER TABLE preview_usage ADD COLUMN kernel_flops BIGINT;
ALTER TABLE preview_usage ADD COLUMN kernel_price_version BIGINT;
ALTER TABLE batch_items ADD COLUMN kernel_instructions TEXT;
ALTER TABLE batch_items ADD COLUMN kernel_calls BIGINT;
ALTER TABLE batch_items ADD COLUMN kernel_flops BIGINT;
ALTER TABLE batch_items ADD COLUMN kernel_price_version BIGINT;
