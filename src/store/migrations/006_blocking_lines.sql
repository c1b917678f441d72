-- Failed deliveries that hold those behind them of their ordering key: few, so that finding them costs nothing.
create index delivery_blocking on delivery (integration_id, ordering_key) where status = 'failed' and queue = 1;
