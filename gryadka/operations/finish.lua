-- KEYS: the acceptor's own hash. ARGV: the identity, the plan's number, and an epoch: who was told of no configuration as
-- late as that keeps the plan, so that nobody can make it take an older one.
local own = redis.call("HMGET", KEYS[1], "identity", "number", "configuration")
if own[1] == ARGV[1] and own[2] == ARGV[2] and told(own[3]) >= tonumber(ARGV[3]) then
  redis.call("HDEL", KEYS[1], "number", "plan", "ends", "by")
end
return "done"
