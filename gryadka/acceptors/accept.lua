-- The rule of `accept`, as in gryadka/protocol/acceptor.py: any ballot that is not below the promised one.
local function accept(register, state, ballot, value, promise)
  if is_higher(state.promised, ballot) then return {"conflict", state.promised} end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
end
