package lease

import "github.com/redis/go-redis/v9"

// Answers of renewScript.
const (
	answerHeld  = "held"
	answerNew   = "new"
	answerTaken = "taken"
)

// What must be atomic runs as a script in Redis. KEYS are always keys.all of a node, and ARGV[1] is
// the node that runs the script.
var (
	// renewScript answers held, new if the lease had expired, or taken.
	renewScript = redis.NewScript(`
		if redis.call('EXISTS', KEYS[3]) == 1 then return '` + answerTaken + `' end
		local holder = redis.call('GET', KEYS[1])
		if holder and holder ~= ARGV[1] then return '` + answerTaken + `' end
		redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
		redis.call('EXPIRE', KEYS[2], ARGV[3])
		return holder and '` + answerHeld + `' or '` + answerNew + `'`)

	// writeScript removes the records of the first ARGV[2] connections and sets those of the rest,
	// given as pairs. It answers 0, and changes nothing, if the lease is not ours.
	writeScript = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		local first = tonumber(ARGV[2]) + 3
		for i = 3, first - 1 do redis.call('HDEL', KEYS[2], ARGV[i]) end
		for i = first, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
		return 1`)

	// claimScript claims an expired lease and answers its number of records, or -1 if a node has
	// the lease. A lease without records is not claimed.
	claimScript = redis.NewScript(`
		if redis.call('EXISTS', KEYS[1]) == 1 then return -1 end
		local records = redis.call('HLEN', KEYS[2])
		if records > 0 then
			redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
			redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[3])
		end
		return records`)

	// extendScript renews a claimed lease. It answers 0 if it is no longer ours.
	extendScript = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

	// releaseScript gives up a lease and answers how many records are left, or -1 if the lease is
	// not ours.
	releaseScript = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
		redis.call('DEL', KEYS[1])
		return redis.call('HLEN', KEYS[2])`)
)
