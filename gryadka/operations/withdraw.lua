-- KEYS: the acceptor's own hash. ARGV: the identity, and the plan's number. Its maker could not claim it; but somebody
-- else may have, at the same time: so it stays where another coordinator has asked for it.
local own = redis.call("HMGET", KEYS[1], "identity", "number", "by")
if own[1] == ARGV[1] and own[2] == ARGV[2] and own[3] == "maker" then
  redis.call("HDEL", KEYS[1], "number", "plan", "ends", "by")
end
return "done"
