class User < ApplicationRecord
  has_many :messages
  has_many :notifications

  validates :name, presence: true, uniqueness: true, length: { maximum: 30 }, format: { with: /\A[\p{L}\p{N}_-]*\z/, message: "may have letters, digits, - and _ only" }
end
