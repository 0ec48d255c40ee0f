# Variants of the application, chosen by the environment. README.md lists the variables.
module EnvironmentVariables
  extend self

  # LAB_ADAPTER: one of Rails' or of lib/action_cable. LAB_CHANNEL_PREFIX has three states: absent,
  # empty (topics are named ":name") and text.
  def cable
    { adapter: ENV.fetch("LAB_ADAPTER", "redis"), url: ENV.fetch("REDIS_URL") { "redis://localhost:6379/1" } }.with_indifferent_access.tap do |cable|
      cable[:channel_prefix] = ENV["LAB_CHANNEL_PREFIX"] if ENV.key?("LAB_CHANNEL_PREFIX")
    end
  end

  # LAB_ALLOWED_ORIGINS: separated by spaces; a regular expression is between slashes.
  def allowed_origins
    ENV.fetch("LAB_ALLOWED_ORIGINS", "").split.map { |origin| origin.match?(%r{\A/.*/\z}) ? Regexp.new(origin[1..-2]) : origin }
  end
end
