/**
 * The functions that write decisions, created in schema `pgherd` on the coordinator (its tables: catalog/schema-sql.ts). The
 * primary key of `transaction_decision` lets exactly one decision win; an insert that meets a concurrent one waits for its end.
 */
export const decisionFunctionsSql = `
CREATE OR REPLACE FUNCTION pgherd.decide_commit(key text, of_epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM 1 FROM pgherd.router_epoch e WHERE e.epoch = of_epoch AND NOT e.fenced FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'this router was declared dead while the transaction ran',
      HINT = 'Run the transaction again.';
  END IF;
  INSERT INTO pgherd.transaction_decision (gid, decision) VALUES (key, 'commit');
END $$;

CREATE OR REPLACE FUNCTION pgherd.decide_abort(key text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE winner text;
BEGIN
  INSERT INTO pgherd.transaction_decision (gid, decision) VALUES (key, 'abort') ON CONFLICT DO NOTHING;
  SELECT d.decision INTO winner FROM pgherd.transaction_decision d WHERE d.gid = key;
  RETURN winner;
END $$;
REVOKE ALL ON FUNCTION pgherd.decide_abort(text) FROM PUBLIC;
`;
