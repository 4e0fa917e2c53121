-- KEYS: the acceptor's own hash. ARGV: the identity, the plan's number, the plan, and epoch, members and configuration.
-- An epoch never goes back, and no two configurations have the same one.
local own = redis.call("HMGET", KEYS[1], "identity", "number", "epoch", "configuration")
if own[1] ~= ARGV[1] then return redis.error_reply("IDENTITY this is not the acceptor that it was") end
if own[4] == ARGV[6] then return ARGV[4] end
if own[2] ~= ARGV[2] then return redis.error_reply("PLAN another plan is under way") end
local epoch = tonumber(ARGV[4])
if told(own[4]) == epoch then return redis.error_reply("PLAN another configuration has this epoch") end
if told(own[4]) < epoch then
  redis.call("HSET", KEYS[1], "plan", ARGV[3], "members", ARGV[5], "configuration", ARGV[6])
  if tonumber(own[3] or 0) < epoch then redis.call("HSET", KEYS[1], "epoch", ARGV[4]) end
end
return ARGV[4]
