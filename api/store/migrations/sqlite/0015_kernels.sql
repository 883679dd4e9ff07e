-- What native kernels of linear algebra did: with which instructions, in how many calls, how many floating-point
-- operations, and the version of the prices by which these became fuel. Null where none was used.
ALTER TABLE task_usage ADD COLUMN kernel_instructions TEXT;
ALTER TABLE task_usage ADD COLUMN kernel_calls INTEGER;
ALTER TABLE task_usage ADD COLUMN kernel_flops INTEGER;
ALTER TABLE task_usage ADD COLUMN kernel_price_version INTEGER;
ALTER TABLE preview_usage ADD COLUMN kernel_instructions TEXT;
ALTER TABLE preview_usage ADD COLUMN kernel_calls INTEGER;
ALTER TABLE preview_usage ADD COLUMN kernel_flops INTEGER;
ALTER TABLE preview_usage ADD COLUMN kernel_price_version INTEGER;
ALTER TABLE batch_items ADD COLUMN kernel_instructions TEXT;
ALTER TABLE batch_items ADD COLUMN kernel_calls INTEGER;
ALTER TABLE batch_items ADD COLUMN kernel_flops INTEGER;
ALTER TABLE batch_items ADD COLUMN kernel_price_version INTEGER;
