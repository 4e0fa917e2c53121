-- KEYS: the acceptor's own hash. ARGV: the identity that it gets, the number of the plan, the plan, the epoch of its end,
-- the members, and the floor. Returns the identity that the acceptor has.
redis.call("HSETNX", KEYS[1], "identity", ARGV[1])
local identity = redis.call("HGET", KEYS[1], "identity")
if identity == ARGV[1] then
  redis.call("HSET", KEYS[1], "number", ARGV[2], "plan", ARGV[3], "ends", ARGV[4], "members", ARGV[5])
  raise(KEYS[1], ARGV[6])
end
return identity
