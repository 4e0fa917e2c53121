-- The rule of `prepare`, as in gryadka/protocol/acceptor.py: only a higher ballot is promised.
local function prepare(register, state, ballot)
  if not is_higher(ballot, state.promised) then return {"conflict", state.promised} end
  redis.call("HSET", register, "promised", ballot)
  return {"promise", state.accepted, state.value}
end
