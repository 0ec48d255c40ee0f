class Current < ActiveSupport::CurrentAttributes
  attribute :person
end
